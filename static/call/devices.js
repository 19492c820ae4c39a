/*
 * Cameras, microphones and speakers to choose from. Devices come and go, and a browser names them
 * only after it has been allowed to use one.
 */

import { make } from './elements.js';

const NAMES = { videoinput: 'Camera', audioinput: 'Microphone', audiooutput: 'Speaker' };
// Chrome lists these beside the devices that they stand for.
const ALIASES = ['', 'default', 'communications'];

export class Devices {
  #selects;
  #on;
  #wished = {}; // a device that was chosen, in the list or not
  #lists = {};

  /**
   * `selects`: {videoinput, audioinput, audiooutput}; their options in the page are those that need no device.
   *
   * on: {
   *   used() {},    // the ids of the open devices: {videoinput, audioinput}
   *   changed() {}, // the lists have been read anew
   * }
   */
  constructor(selects, on) {
    this.#selects = selects;
    this.#on = on;
    for (const select of Object.values(selects)) {
      select.addEventListener('change', () => { this.#wished[kindOf(selects, select)] = select.value; });
    }
    navigator.mediaDevices?.addEventListener?.('devicechange', () => this.refresh());
  }

  /** The choice of a kind: the value of an option of the page, or the id of a device. */
  choice(kind) {
    return this.#wished[kind] ?? this.#selects[kind].value;
  }

  /** Chooses as that stored text says; a device that isn't there is chosen when it comes. */
  wish(kind, choice) {
    this.#wished[kind] = choice;
    this.#show(kind);
  }

  /** Whether there are devices of a kind to choose from. */
  has(kind) {
    return (this.#lists[kind] ?? []).length > 0;
  }

  /** Reads the devices. */
  async refresh() {
    const all = await navigator.mediaDevices?.enumerateDevices?.().catch(() => []) ?? [];
    for (const kind of Object.keys(this.#selects)) {
      this.#lists[kind] = all.filter((device) => device.kind === kind && !ALIASES.includes(device.deviceId));
      this.#show(kind);
    }
    this.#on.changed();
  }

  #show(kind) {
    const used = this.#on.used()[kind];
    const select = this.#selects[kind];
    const wished = this.choice(kind);
    const options = (this.#lists[kind] ?? []).map(({ deviceId, label }, at) =>
      make('option', { value: deviceId, textContent: label || `${NAMES[kind]} ${at + 1}` }));
    select.querySelector('optgroup')?.remove();
    if (options.length > 0) select.append(make('optgroup', { label: 'Devices' }, ...options));
    const has = (value) => [...select.options].some((option) => option.value === value);
    const isDevice = ![...select.children].some((option) => option.value === wished);
    // Where another device was opened than the one that was chosen, the list tells the truth.
    select.value = [isDevice ? used : wished, wished].find((value) => value !== undefined && has(value)) ?? select.options[0].value;
  }
}

function kindOf(selects, select) {
  return Object.keys(selects).find((kind) => selects[kind] === select);
}
