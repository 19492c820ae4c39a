/*
 * The connections, as facts: state, path, round trip, picture.
 */

import { make, say } from './elements.js';
import { nameOf } from './talk.js';

const STATES = {
  new: 'waiting for an offer',
  connecting: 'connecting',
  connected: 'connected',
  disconnected: 'interrupted',
  failed: 'no path',
  closed: 'closed',
};

const PATHS = {
  host: 'direct, in one network',
  srflx: 'direct, through NAT',
  prflx: 'direct, through NAT',
  relay: 'through a TURN server',
};

export class Links {
  #list;
  #on;
  #rows = new Map();

  /** on: { restart(peer) {}, offer(peer) {} } */
  constructor(list, on) {
    this.#list = list;
    this.#on = on;
  }

  /** Shows these peers, with their numbers of this moment. */
  async update(peers) {
    const all = [...peers];
    const ids = new Set(all.map(({ participant }) => participant.id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    await Promise.all(all.map(async (peer) => {
      this.#show(peer, this.#rows.get(peer.participant.id)?.report ?? {});
      this.#show(peer, await peer.report().catch(() => ({})));
    }));
  }

  #row(id) {
    let row = this.#rows.get(id);
    if (!row) {
      row = this.#make(id);
      this.#rows.set(id, row);
      this.#list.append(row.element);
    }
    return row;
  }

  #make(id) {
    const row = { report: {}, peer: null, facts: {} };
    row.name = make('span');
    row.condition = make('span', { className: 'condition' });
    row.trouble = make('p', { className: 'bad' });
    const list = make('dl');
    for (const [key, label] of [['path', 'Path'], ['pair', 'Pair'], ['trip', 'Round trip'], ['picture', 'Picture'], ['chat', 'Chat']]) {
      row.facts[key] = make('dd', { className: key === 'pair' ? 'path' : '', dataset: { fact: key } });
      list.append(make('dt', { textContent: label }), row.facts[key]);
    }
    const restart = make('button', { type: 'button', className: 'button quiet small', textContent: 'Restart ICE' });
    const offer = make('button', { type: 'button', className: 'button quiet small', textContent: 'Offer’s SDP' });
    restart.onclick = () => this.#on.restart(row.peer);
    offer.onclick = () => this.#on.offer(row.peer);
    row.element = make('li', { dataset: { id } },
      make('h3', {}, row.name, row.condition), list, row.trouble, make('div', { className: 'actions' }, restart, offer));
    return row;
  }

  #show(peer, report) {
    const row = this.#row(peer.participant.id);
    const { participant, state } = peer;
    Object.assign(row, { peer, report });
    row.element.dataset.state = state;
    say(row.name, nameOf(participant));
    say(row.condition, STATES[state] + (participant.away ? ', cut off from the server' : ''));
    say(row.trouble, peer.trouble);
    const { pair, roundTrip, picture } = report;
    const path = pair && (pair.local.type === 'relay' || pair.remote.type === 'relay' ? PATHS.relay : PATHS[pair.local.type] ?? pair.local.type);
    say(row.facts.path, path || '–');
    say(row.facts.pair, pair ? `${describe(pair.local)} ⇄ ${describe(pair.remote)}` : '–');
    say(row.facts.trip, Number.isFinite(roundTrip) ? `${(roundTrip * 1000).toFixed(roundTrip < 0.01 ? 1 : 0)} ms` : '–');
    say(row.facts.picture, picture ? `${picture.width} × ${picture.height}, ${Math.round(picture.perSecond)}/s` : '–');
    say(row.facts.chat, peer.hasChannel ? 'data channel' : 'through the server');
  }
}

function describe({ type, protocol, address }) {
  return `${type} ${protocol} ${address}`;
}
