/*
 * The pictures: one tile for each participant, as large as all of them can be.
 */

import { icon, make, say, tone } from './elements.js';

const SHAPE = 4 / 3;
const GAP = 8; // px, as in the sheet

/** Keeps the tiles of `list` as large as the room there allows. */
export class Grid {
  #list;
  #tiles = new Map();

  constructor(list) {
    this.#list = list;
    new ResizeObserver(() => this.fit()).observe(list);
  }

  /** The tile of that key, new if there is none. `resized` is called when its picture changes its size, also from and to none. */
  tile(key, options) {
    let tile = this.#tiles.get(key);
    if (!tile) {
      tile = new Tile(key, options);
      this.#tiles.set(key, tile);
      this.#list.append(tile.element);
      this.fit();
    }
    return tile;
  }

  remove(key) {
    const tile = this.#tiles.get(key);
    if (!tile) return;
    tile.video.srcObject = null;
    tile.element.remove();
    this.#tiles.delete(key);
    this.fit();
  }

  [Symbol.iterator]() {
    return this.#tiles.values();
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.#list;
    const count = this.#tiles.size;
    let best = 0;
    for (let columns = 1; columns <= count; columns += 1) {
      const rows = Math.ceil(count / columns);
      const across = (width - GAP * (columns - 1)) / columns;
      const down = ((height - GAP * (rows - 1)) / rows) * SHAPE;
      best = Math.max(best, Math.min(across, down));
    }
    this.#list.style.setProperty('--tile', `${Math.max(Math.floor(best), 0)}px`);
    this.#list.dataset.count = count;
  }
}

class Tile {
  #name;
  #face;
  #flags;
  #note;

  constructor(key, { isOwn = false, resized = null }) {
    this.video = make('video', { autoplay: true, playsInline: true, muted: isOwn, onresize: resized });
    this.#face = make('div', { className: 'face' });
    this.#face.setAttribute('aria-hidden', 'true');
    this.#name = make('span', { className: 'name' });
    this.#flags = make('span', { className: 'flags' });
    this.#note = make('p', { className: 'note' });
    const plate = make('div', { className: 'plate' }, this.#flags, this.#name);
    this.element = make('li', { className: isOwn ? 'tile own' : 'tile', dataset: { id: key } }, this.video, this.#face, this.#note, plate);
  }

  /**
   * `note` is a problem to show, '' without one; `state` is for the sheet.
   */
  show({ name, stream, hasPicture, isMuted = false, isMirrored = false, note = '', state = 'connected' }) {
    say(this.#name, name);
    say(this.#face, [...name][0]?.toUpperCase() ?? '?');
    this.#face.className = `face ${tone(name)}`;
    say(this.#note, note);
    this.#showFlags(isMuted);
    Object.assign(this.element.dataset, { state, picture: hasPicture ? 'on' : 'off', mirrored: isMirrored ? 'yes' : 'no' });
    this.video.setAttribute('aria-label', hasPicture ? `Picture of ${name}` : `${name}, no picture`);
    if (this.video.srcObject !== stream) this.video.srcObject = stream;
  }

  #showFlags(isMuted) {
    if (isMuted === (this.#flags.childElementCount > 0)) return;
    this.#flags.replaceChildren();
    if (isMuted) this.#flags.append(icon('microphone-off'), make('span', { className: 'visually-hidden', textContent: 'muted, ' }));
  }
}
