/*
 * An element that can fill the screen. Safari before 16.4 knows that by names of its own; on an
 * iPhone no page can.
 */

export class Whole {
  #element;

  /** `changed` is called when the screen is filled and when it no longer is, by Escape too. */
  constructor(element, changed) {
    this.#element = element;
    for (const event of ['fullscreenchange', 'webkitfullscreenchange']) {
      document.addEventListener(event, () => {
        element.classList.toggle('whole', this.isOn);
        changed();
      });
    }
  }

  get isPossible() {
    return Boolean(document.fullscreenEnabled ?? document.webkitFullscreenEnabled);
  }

  get isOn() {
    return (document.fullscreenElement ?? document.webkitFullscreenElement) === this.#element;
  }

  /** Fills the screen; rejects where the browser doesn't let it. */
  async enter() {
    await (this.#element.requestFullscreen ?? this.#element.webkitRequestFullscreen).call(this.#element);
  }

  async leave() {
    if (this.isOn) await (document.exitFullscreen ?? document.webkitExitFullscreen).call(document);
  }
}
