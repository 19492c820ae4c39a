/*
 * The screen, a window or a tab, as the user picks it in the browser's own dialog.
 */

import { CameraError } from './camera.js';

// Texts are read and seldom move: fewer frames leave more bits for sharp ones.
const CONSTRAINTS = { video: { frameRate: { ideal: 15, max: 30 } }, audio: false };

export class Screen {
  /** What is shared; null: nothing. */
  track = null;
  #on;

  /** on: { ended() {} }: the user has ended it in the browser's bar, or has closed the shared window. */
  constructor(on) {
    this.#on = on;
  }

  /** Whether this browser can share anything: those of phones can't. */
  static get isPossible() {
    return typeof navigator.mediaDevices?.getDisplayMedia === 'function';
  }

  /**
   * Asks the user what to share; a user who picks nothing shares nothing.
   *
   * Throws a CameraError.
   */
  async open() {
    let stream;
    try {
      stream = await navigator.mediaDevices.getDisplayMedia(CONSTRAINTS);
    } catch (error) {
      if (isCancelled(error)) return;
      throw explain(error);
    }
    this.close();
    const [track] = stream.getVideoTracks();
    track.contentHint = 'detail';
    track.onended = () => {
      if (this.track !== track) return;
      this.track = null;
      this.#on.ended();
    };
    this.track = track;
  }

  close() {
    this.track?.stop();
    this.track = null;
  }
}

// Browsers name a closed dialog and a system that forbids recording alike.
function isCancelled({ name, message }) {
  return name === 'NotAllowedError' && !/system/i.test(message);
}

function explain(error) {
  console.warn('sockeye: the screen cannot be shared:', error.name, error.message);
  switch (error.name) {
    case 'NotAllowedError':
      return new CameraError('denied', 'The system does not let this browser record the screen. Allow it in the system’s settings '
        + '(on a Mac: Privacy & Security, Screen Recording), then start the browser again.');
    case 'NotFoundError':
      return new CameraError('missing', 'There is no screen and no window to share.');
    case 'NotReadableError':
      return new CameraError('busy', 'The system does not give this browser that screen or window. Pick another one.');
    default:
      return new CameraError('other', 'The screen could not be shared. Try again, or pick another window.');
  }
}
