/*
 * The chat of a call: directly over the data channels, and through the server to participants
 * without one. Each receiver acknowledges, so that the sender sees its receivers.
 */

import { make, say, tone } from './elements.js';

const LINES = 300;
export const TEXT_LIMIT = 4000; // characters

export class Talk {
  #log;
  #last = ''; // the author of the last line
  #sent = new Map(); // number -> {element, fates: Map of participant's id to {name, fate}}
  #byRef = new Map(); // ref of the signaling -> number
  #lastNumber = 0;

  constructor(log) {
    this.#log = log;
  }

  notice(text) {
    this.#append(make('p', { className: 'notice', textContent: text }), '');
  }

  /** Shows a participant's message. */
  heard(participant, text) {
    // Pages like this one send no more.
    const shown = text.length > 2 * TEXT_LIMIT ? `${text.slice(0, 2 * TEXT_LIMIT)}…` : text;
    this.#entry(nameOf(participant), shown, participant.id);
  }

  /**
   * Says something to all. `direct(peer, data)` and `relayed(peer, text)` send it to one: directly, if that is possible, or else
   * through the server, which gives it a number to tell its fate by.
   */
  say(text, peers, { direct, relayed }) {
    const number = this.#lastNumber += 1;
    const element = make('p', { className: 'fate' });
    const fates = new Map();
    for (const peer of peers) {
      const { participant } = peer;
      const isDirect = direct(peer, { number, text });
      fates.set(participant.id, { name: nameOf(participant), fate: 'sent', isDirect });
      if (!isDirect) this.#byRef.set(relayed(peer, text), number);
    }
    this.#sent.set(number, { element, fates });
    this.#entry('You', text, 'you').append(element);
    this.#showFates(number);
  }

  /** A participant has acknowledged a direct message. */
  acknowledged(participant, number) {
    this.#settle(number, participant.id, 'delivered');
  }

  /** The server's receipt for a message that went through it. */
  fate(ref, fate, ids) {
    const number = this.#byRef.get(ref);
    if (number === undefined) return;
    if (fate !== 'queued') this.#byRef.delete(ref);
    if (fate === 'refused') {
      for (const [id, one] of this.#sent.get(number)?.fates ?? []) {
        if (!one.isDirect && one.fate === 'sent') this.#settle(number, id, 'expired');
      }
      return;
    }
    for (const id of ids) this.#settle(number, id, fate);
  }

  /** A participant's data channel is lost. */
  lost(participant) {
    for (const [number, { fates }] of this.#sent) {
      const one = fates.get(participant.id);
      if (one?.isDirect && one.fate === 'sent') this.#settle(number, participant.id, 'expired');
    }
  }

  clear() {
    this.#log.replaceChildren();
    this.#sent.clear();
    this.#byRef.clear();
    this.#last = '';
  }

  #settle(number, id, fate) {
    const one = this.#sent.get(number)?.fates.get(id);
    if (!one) return;
    one.fate = fate;
    this.#showFates(number);
  }

  #showFates(number) {
    const { element, fates } = this.#sent.get(number);
    const all = [...fates.values()];
    const names = (fate) => all.filter((one) => one.fate === fate).map(({ name }) => name).join(', ');
    const parts = [];
    if (all.length === 0) parts.push('no other participant');
    if (names('expired')) parts.push(`not received by ${names('expired')}`);
    if (names('queued')) parts.push(`waits for ${names('queued')}`);
    if (names('sent')) parts.push('on its way');
    if (parts.length === 0 && all.some(({ isDirect }) => !isDirect)) parts.push('through the server');
    say(element, parts.join('; '));
    element.classList.toggle('bad', Boolean(names('expired')));
    if (all.every(({ fate }) => fate === 'delivered' || fate === 'expired')) this.#sent.delete(number);
  }

  #entry(name, text, who) {
    const isMine = who === 'you';
    const entry = make('div', { className: isMine ? 'entry mine' : 'entry' },
      make('div', { className: 'meta' }, make('span', { className: `name ${tone(name)}`, textContent: name })),
      make('div', { className: 'text', dir: 'auto' }, window.withAddresses(text)));
    if (this.#last === who) entry.classList.add('follows');
    this.#append(entry, who);
    return entry;
  }

  #append(element, who) {
    const isAtEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 40;
    this.#last = who;
    this.#log.append(element);
    while (this.#log.childElementCount > LINES) this.#log.firstElementChild.remove();
    if (isAtEnd || who === 'you') this.#log.scrollTop = this.#log.scrollHeight;
  }
}

/** The display name of a participant, which may have no name. */
export function nameOf({ name, id }) {
  return name || `Guest ${id.slice(0, 4)}`;
}
