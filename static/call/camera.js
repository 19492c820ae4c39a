/*
 * Camera and microphone: one stream, whose tracks come and go.
 */

export const RESOLUTIONS = {
  qvga: { width: 320, height: 240 },
  vga: { width: 640, height: 480 },
  hd: { width: 1280, height: 720 },
};

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
   * {resolution, rate, facing}.
   *
   * Throws a CameraError; then open devices stay open.
   */
  async open(wanted, settings) {
    const constraints = {
      video: wanted.video && !this.track('video') ? videoConstraints(settings) : false,
      audio: Boolean(wanted.audio && !this.track('audio')),
    };
    if (!constraints.video && !constraints.audio) return;
    const devices = navigator.mediaDevices;
    if (!devices?.getUserMedia) throw new CameraError('insecure', insecure());
    let opened;
    try {
      opened = await devices.getUserMedia(constraints);
    } catch (error) {
      throw await explain(error, constraints);
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

  /** Applies other settings to the open camera; does nothing when it is closed. */
  async change(settings, { isOtherCamera }) {
    const track = this.track('video');
    if (!track) return;
    if (!isOtherCamera) {
      await track.applyConstraints(videoConstraints(settings));
      return;
    }
    // Phones have one camera open at a time.
    this.close('video');
    await this.open({ video: true, audio: false }, settings);
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

// Wishes, not demands: a camera that can't meet them gives its best.
function videoConstraints({ resolution, rate, facing }) {
  const { width, height } = RESOLUTIONS[resolution];
  return { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: rate }, facingMode: { ideal: facing } };
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
      return new CameraError('other', `The ${both} could not be opened (${error.name}: ${error.message}). Plug it in again or restart the browser.`);
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
