/*
 * The pictures: one tile for each participant, as large as all of them can be.
 */

import { icon, make, say, tone } from './elements.js';

const SHAPE = 4 / 3;
const GAP = 8; // px, as in the sheet
const SCREEN_PART = 0.76; // of the height, for the screens that others share, where there are faces as well

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
      tile = new Tile(key, { ...options, reshaped: () => this.fit() });
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
    const screens = [...this].filter(({ isScreen }) => isScreen).length;
    const faces = this.#tiles.size - screens;
    const upper = screens === 0 ? 0 : faces === 0 ? height : Math.floor(height * SCREEN_PART);
    const lower = height - upper - (screens > 0 ? GAP : 0);
    this.#list.style.setProperty('--tile', `${widest(faces, width, lower)}px`);
    this.#list.style.setProperty('--screen', `${Math.max(0, Math.floor((upper - GAP * (screens - 1)) / (screens || 1)))}px`);
    this.#list.dataset.count = this.#tiles.size;
  }
}

/** The width of so many tiles, all as large as the room allows. */
function widest(count, width, height) {
  let best = 0;
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const across = (width - GAP * (columns - 1)) / columns;
    const down = ((height - GAP * (rows - 1)) / rows) * SHAPE;
    best = Math.max(best, Math.min(across, down));
  }
  return Math.max(Math.floor(best), 0);
}

class Tile {
  #name;
  #face;
  #flags;
  #note;
  #reshaped;

  constructor(key, { isOwn = false, resized = null, reshaped }) {
    this.#reshaped = reshaped;
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
   * `note` is a problem to show, '' without one; `state` is for the sheet. `screen`: the picture is
   * that of a screen, 'own' or 'theirs', or 'no'.
   */
  show({ name, stream, hasPicture, isMuted = false, isMirrored = false, screen = 'no', note = '', state = 'connected' }) {
    const wasScreen = this.isScreen;
    say(this.#name, name);
    say(this.#face, [...name][0]?.toUpperCase() ?? '?');
    this.#face.className = `face ${tone(name)}`;
    say(this.#note, note);
    this.#showFlags({ 'microphone-off': isMuted && 'muted, ', screen: screen !== 'no' && 'shares a screen, ' });
    Object.assign(this.element.dataset, { state, picture: hasPicture ? 'on' : 'off', mirrored: isMirrored ? 'yes' : 'no', screen });
    this.video.setAttribute('aria-label', hasPicture ? `Picture of ${name}` : `${name}, no picture`);
    if (this.video.srcObject !== stream) this.video.srcObject = stream;
    if (this.isScreen !== wasScreen) this.#reshaped();
  }

  /** Whether it wants more room than others: a screen that another participant shares. */
  get isScreen() {
    return this.element.dataset.screen === 'theirs' && this.element.dataset.picture === 'on';
  }

  /** `flags`: a text for each symbol to show, false for the others. */
  #showFlags(flags) {
    const shown = Object.entries(flags).filter(([, text]) => text);
    if (this.#flags.dataset.shown === shown.join()) return;
    this.#flags.dataset.shown = shown.join();
    this.#flags.replaceChildren(...shown.flatMap(([name, text]) => [icon(name), make('span', { className: 'visually-hidden', textContent: text })]));
  }
}
