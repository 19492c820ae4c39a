/*
 * Camera and microphone: one stream, whose tracks come and go.
 */

export const RESOLUTIONS = {
  qvga: { width: 320, height: 240 },
  vga: { width: 640, height: 480 },
  hd: { width: 1280, height: 720 },
};

const FACINGS = ['user', 'environment'];

/** The choices of media to send: whether each takes a camera, a microphone. */
export const MEDIA = {
  both: { video: true, audio: true },
  microphone: { video: false, audio: true },
  watch: { video: false, audio: false },
  chat: { video: false, audio: false },
};

/** Why there is no picture or no sound; its message names the remedy. */
export class CameraError extends Error {
  /** `reason`: insecure, missing, denied, busy or other. */
  constructor(reason, message) {
    super(message);
    this.reason = reason;
  }
}

export class Camera {
  /** The one stream that peers get; null before something is open. */
  stream = null;
  #on;

  /** on: { ended(kind) {} }: a device is gone that the page has not closed. */
  constructor(on) {
    this.#on = on;
  }

  track(kind) {
    return this.stream?.getTracks().find((track) => track.kind === kind) ?? null;
  }

  /**
   * Opens the devices in `wanted` ({video, audio}) that are not open yet. `settings` is
   * {resolution, rate, camera, microphone}: `camera` is 'user', 'environment' or a device's id,
   * `microphone` a device's id or ''.
   *
   * Throws a CameraError; then open devices stay open.
   */
  async open(wanted, settings) {
    const kinds = { video: Boolean(wanted.video && !this.track('video')), audio: Boolean(wanted.audio && !this.track('audio')) };
    if (!kinds.video && !kinds.audio) return;
    if (!navigator.mediaDevices?.getUserMedia) throw new CameraError('insecure', insecure());
    let opened;
    try {
      opened = await openDevices(kinds, settings);
    } catch (error) {
      throw await explain(error, kinds);
    }
    this.stream ??= new MediaStream();
    for (const track of opened.getTracks()) {
      // Another call may have been quicker: one track of a kind is enough.
      if (this.track(track.kind)) {
        track.stop();
        continue;
      }
      this.stream.addTrack(track);
      track.onended = () => {
        this.close(track.kind);
        this.#on.ended(track.kind);
      };
    }
  }

  /** Applies another resolution and rate to the open camera; does nothing when it is closed. */
  async change(settings) {
    await this.track('video')?.applyConstraints(sizeConstraints(settings));
  }

  /** Opens another device of a kind, 'video' or 'audio', in place of the open one; does nothing when there is none. */
  async exchange(kind, settings) {
    if (!this.track(kind)) return;
    // Phones have one camera open at a time.
    this.close(kind);
    await this.open({ [kind]: true }, settings);
  }

  /** Closes camera ('video'), microphone ('audio') or, without a kind, both: their lights go out. */
  close(kind) {
    for (const track of this.stream?.getTracks() ?? []) {
      if (kind && track.kind !== kind) continue;
      track.stop();
      this.stream.removeTrack(track);
    }
  }
}

async function openDevices({ video, audio }, settings) {
  const { camera, microphone } = settings;
  const size = sizeConstraints(settings);
  const isFacing = FACINGS.includes(camera);
  const facing = { ...size, facingMode: { ideal: isFacing ? camera : FACINGS[0] } };
  // A device that is only a wish may lose against the browser's own choice.
  const chosen = {
    video: video && (isFacing ? facing : { ...size, deviceId: { exact: camera } }),
    audio: audio && (microphone ? { deviceId: { exact: microphone } } : true),
  };
  const isChosen = (video && !isFacing) || (audio && Boolean(microphone));
  try {
    return await navigator.mediaDevices.getUserMedia(chosen);
  } catch (error) {
    // The chosen device is not plugged in now: another one is better than none.
    if (!isChosen || !['OverconstrainedError', 'NotFoundError'].includes(error.name)) throw error;
    return navigator.mediaDevices.getUserMedia({ video: video && facing, audio });
  }
}

// Wishes, not demands: a camera that can't meet them gives its best.
function sizeConstraints({ resolution, rate }) {
  const { width, height } = RESOLUTIONS[resolution];
  return { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: rate } };
}

function insecure() {
  return window.isSecureContext
    ? 'This browser gives pages no camera and no microphone. Use a current Chrome, Edge, Firefox or Safari.'
    : `Browsers give a camera only to pages that came encrypted, and this one came over plain http from ${location.host}. `
      + 'Open it over https:// or, on the machine where the server runs, as http://localhost.';
}

async function explain(error, { video }) {
  const both = video ? 'camera or microphone' : 'microphone';
  switch (error.name) {
    case 'NotFoundError':
    case 'OverconstrainedError':
      return new CameraError('missing', await missing(video));
    case 'NotAllowedError':
    case 'SecurityError':
      return new CameraError('denied', `The browser may not use the ${both}. Allow it: press the symbol beside the page’s address, `
        + 'or look in the settings of the browser and of the system for this site’s permissions; then try again.');
    case 'NotReadableError':
    case 'AbortError':
      return new CameraError('busy', `The ${both} does not answer. Another program may be using it: close that one, then try again.`);
    default:
      console.warn('sockeye: the camera or microphone cannot be opened:', error.name, error.message);
      return new CameraError('other', `The ${both} could not be opened. Plug it in again or restart the browser, then try again.`);
  }
}

async function missing(video) {
  const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  const has = (kind) => devices.some((device) => device.kind === kind);
  if (!video) return 'No microphone was found. Plug one in, then try again.';
  if (has('audioinput')) return 'No camera was found. Plug one in, then try again; or join with the microphone alone.';
  if (has('videoinput')) return 'No microphone was found. Plug one in, then try again.';
  return 'No camera and no microphone were found. Plug them in, then try again.';
}
