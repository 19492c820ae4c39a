/*
 * All participants of the room, each with a connection of its own.
 */

import { Peer } from './peer.js';

export class Mesh {
  #peers = new Map();
  #on;
  #stream = null;
  #wants = 'all';
  #status = {};

  /**
   * on: {
   *   iceServers() {}, send(type, participant, body) {},
   *   change(peer) {}, gone(peer) {},          // of anything that can be seen
   *   failed() {},                             // a path was lost, and perhaps the whole network
   *   said(participant, text) {}, acknowledged(participant, number) {}, lost(participant) {}, // of the chat
   * }
   */
  constructor(on) {
    this.#on = on;
  }

  [Symbol.iterator]() {
    return this.#peers.values();
  }

  get size() {
    return this.#peers.size;
  }

  /** The tracks and status for all peers. `wants` counts for connections that begin afterwards; `status` is told: {camera, microphone}. */
  publish(stream, { wants, status }) {
    this.#stream = stream;
    this.#wants = wants;
    this.#status = status;
    for (const peer of this) {
      peer.publish(stream);
      peer.say({ status });
    }
  }

  /** Takes over a whole roster. Where it is that of a return, connections live on. */
  meet(participants, { isReturn }) {
    const present = new Map(participants.map((participant) => [participant.id, participant]));
    for (const { participant: { id, incarnation } } of [...this]) {
      if (!isReturn || present.get(id)?.incarnation !== incarnation) this.#drop(id);
    }
    participants.forEach((participant) => this.#update(participant));
  }

  /** Takes over a change of the roster. */
  change(change, participant) {
    if (change === 'left' || change === 'renewed') this.#drop(participant.id);
    if (change !== 'left') this.#update(participant);
  }

  signal(type, participant, body) {
    this.#peers.get(participant.id)?.take(type, body);
  }

  /** Ends all connections. */
  close() {
    for (const { participant } of [...this]) this.#drop(participant.id);
  }

  #update(participant) {
    const known = this.#peers.get(participant.id);
    if (known) {
      known.participant = participant;
      this.#on.change(known);
      return;
    }
    const peer = new Peer(participant, { stream: this.#stream, wants: this.#wants, on: this.#forPeer(participant) });
    peer.status = {};
    this.#peers.set(participant.id, peer);
    this.#on.change(peer);
    // A page of protocol 1 has no use for a connection that carries neither picture nor sound.
    if (participant.initiate && (this.#wants === 'all' || participant.protocol === 2)) peer.begin();
  }

  #forPeer({ id }) {
    return {
      iceServers: () => this.#on.iceServers(),
      send: (type, body) => this.#on.send(type, this.#peers.get(id).participant, body),
      change: (peer) => this.#isKnown(peer) && this.#on.change(peer),
      failed: () => this.#on.failed(),
      channel: (peer, isOpen) => this.#onChannel(peer, isOpen),
      message: (peer, data) => this.#onMessage(peer, data),
    };
  }

  #onChannel(peer, isOpen) {
    if (isOpen) {
      peer.say({ status: this.#status });
    } else {
      this.#on.lost(peer.participant);
    }
    if (this.#isKnown(peer)) this.#on.change(peer);
  }

  #onMessage(peer, data) {
    if (typeof data?.text === 'string') {
      this.#on.said(peer.participant, data.text);
      peer.say({ got: data.number });
    } else if (Number.isInteger(data?.got)) {
      this.#on.acknowledged(peer.participant, data.got);
    } else if (data?.status) {
      peer.status = data.status;
      this.#on.change(peer);
    }
  }

  #isKnown(peer) {
    return this.#peers.get(peer.participant.id) === peer;
  }

  #drop(id) {
    const peer = this.#peers.get(id);
    if (!peer) return;
    this.#peers.delete(id);
    peer.close();
    // Messages without an acknowledgement will get none.
    this.#on.lost(peer.participant);
    this.#on.gone(peer);
  }
}
