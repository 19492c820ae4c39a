/*
 * The connection to one other participant: offers, answers and candidates go
 * through the signaling, pictures, sound and chat go directly.
 *
 * Both sides may offer at any time ("perfect negotiation"): where two offers meet, the polite side
 * takes its own back and the other side ignores the incoming offer. The server decides which side
 * is polite, and which begins.
 */

// Candidates that may wait for their description. More than any browser gathers.
const CANDIDATE_LIMIT = 64;
const CHANNEL = { label: 'chat', id: 0 };

export class Peer {
  #on;
  #line = Promise.resolve(); // incoming signals are handled one after another
  #pc = null;
  #channel = null;
  #stream; // the sent stream; null: nothing
  #senders = { audio: null, video: null };
  #isMakingOffer = false;
  #wasConnected = false;
  #early = []; // candidates whose description is not there yet
  #closed = false;

  /**
   * `wants`: 'all', or 'chat' for neither picture nor sound in any direction.
   *
   * on: {
   *   iceServers() {},         // a promise of them
   *   send(type, body) {},     // through the signaling
   *   change(peer) {},         // of anything that can be seen: see `state`, `stream`, `trouble`
   *   failed() {},             // no path is left
   *   channel(peer, isOpen) {},
   *   message(peer, data) {},  // from the data channel
   * }
   */
  constructor(participant, { stream, wants, on }) {
    this.participant = participant;
    this.stream = new MediaStream(); // the received tracks
    this.trouble = '';
    this.wants = wants;
    this.#stream = stream;
    this.#on = on;
  }

  /** new, connecting, connected, disconnected, failed or closed. */
  get state() {
    return this.#closed ? 'closed' : this.#pc?.connectionState ?? 'new';
  }

  get hasChannel() {
    return this.#channel?.readyState === 'open';
  }

  /** Makes the first offer. */
  begin() {
    this.#queue(() => this.#open());
  }

  /** Takes an offer, an answer or a candidate. */
  take(type, body) {
    this.#queue(() => (type === 'ice' ? this.#takeCandidate(body) : this.#takeDescription(body)));
  }

  /** Sends another stream's tracks in place of the current ones; null: nothing. */
  publish(stream) {
    this.#stream = stream;
    this.#queue(() => this.#publish());
  }

  /** Looks for a new path, without interrupting the one in use. */
  restart() {
    this.#queue(async () => {
      if (!this.#pc) {
        await this.#open();
        return;
      }
      // Credentials of a TURN server may have expired since.
      this.#pc.setConfiguration({ iceServers: await this.#on.iceServers() });
      if (!this.#closed) this.#pc.restartIce();
    });
  }

  /** Sends over the data channel; false: there is none now. */
  say(data) {
    if (!this.hasChannel) return false;
    this.#channel.send(JSON.stringify(data));
    return true;
  }

  /** The SDP of the latest offer between the two, '' before the first. */
  get offerSdp() {
    const descriptions = [this.#pc?.localDescription, this.#pc?.remoteDescription];
    return descriptions.find((description) => description?.type === 'offer')?.sdp ?? '';
  }

  /** How it goes: {pair, roundTrip, picture}; each null when unknown. */
  async report() {
    if (!this.#pc || this.#closed) return { pair: null, roundTrip: null, picture: null };
    const stats = await this.#pc.getStats();
    return summarize(stats);
  }

  close() {
    this.#closed = true;
    this.#channel?.close();
    this.#pc?.close();
    this.stream.getTracks().forEach((track) => this.stream.removeTrack(track));
  }

  #queue(task) {
    this.#line = this.#line.then(() => (this.#closed ? undefined : task())).catch((error) => {
      if (this.#closed) return;
      console.warn('sockeye: the negotiation failed:', error.name, error.message);
      this.trouble = 'Could not connect. Leave the room and join again.';
      this.#on.change(this);
    });
  }

  async #open() {
    if (this.#pc) return;
    const iceServers = await this.#on.iceServers();
    if (this.#closed) return;
    this.#create({ iceServers });
    if (this.wants === 'all') this.#askForTheRest();
  }

  #create(configuration) {
    const pc = this.#pc = new RTCPeerConnection(configuration);
    pc.onnegotiationneeded = () => this.#offer();
    pc.onicecandidate = ({ candidate }) => {
      // The end of candidates is told by nothing more: pages of protocol 1 can't take it.
      if (candidate?.candidate) this.#on.send('ice', { candidate });
    };
    pc.ontrack = ({ track }) => this.#onTrack(track);
    pc.onconnectionstatechange = () => {
      if (pc.connectionState === 'connected') {
        this.trouble = '';
        this.#wasConnected = true;
      }
      this.#on.change(this);
    };
    pc.oniceconnectionstatechange = () => {
      // A page of protocol 1 has one connection for all: if it isn't with us, leave it to the page
      // that it is with.
      const isOurs = this.participant.protocol === 2 || this.#wasConnected;
      if (pc.iceConnectionState !== 'failed') return;
      this.#on.failed();
      if (isOurs) this.restart();
    };
    // Pages of protocol 1 have a channel of their own or none.
    if (this.participant.protocol === 2) {
      this.#bind(pc.createDataChannel(CHANNEL.label, { negotiated: true, id: CHANNEL.id }));
    }
    this.#publish();
  }

  #bind(channel) {
    this.#channel = channel;
    channel.onopen = () => this.#on.channel(this, true);
    channel.onclose = () => this.#on.channel(this, false);
    channel.onmessage = ({ data }) => {
      try {
        this.#on.message(this, JSON.parse(data));
      } catch { /* Not from a page like this one: nothing to be made of it. */ }
    };
  }

  // Tracks are exchanged without a negotiation where one was sent before.
  async #publish() {
    if (!this.#pc || this.wants === 'chat') return;
    for (const kind of ['audio', 'video']) {
      const track = this.#stream?.getTracks().find((track) => track.kind === kind) ?? null;
      if (this.#senders[kind]) {
        await this.#senders[kind].replaceTrack(track);
      } else if (track) {
        this.#senders[kind] = this.#pc.addTrack(track, this.#stream);
      }
    }
  }

  // A page without picture or sound still wants the others'. In an answer the browser sees to that.
  #askForTheRest() {
    for (const kind of ['audio', 'video']) {
      if (!this.#senders[kind]) this.#pc.addTransceiver(kind, { direction: 'recvonly' });
    }
  }

  #onTrack(track) {
    this.stream.getTracks().filter(({ kind }) => kind === track.kind).forEach((old) => this.stream.removeTrack(old));
    this.stream.addTrack(track);
    this.#on.change(this);
  }

  async #offer() {
    try {
      this.#isMakingOffer = true;
      await this.#pc.setLocalDescription();
      this.#describe();
    } catch (error) {
      if (!this.#closed) this.#queue(() => { throw error; });
    } finally {
      this.#isMakingOffer = false;
    }
  }

  #describe() {
    const description = this.#pc.localDescription;
    // None: an offer that was taken back before it could be sent.
    if (description && !this.#closed) this.#on.send(description.type, { sdp: description });
  }

  async #takeDescription(description) {
    const isOffer = description.type === 'offer';
    // An answer to another page's offer, or to one that this page took back.
    if (!isOffer && this.#pc?.signalingState !== 'have-local-offer') return;
    if (!this.#pc) {
      const iceServers = await this.#on.iceServers();
      if (this.#closed) return;
      this.#create({ iceServers });
    }
    const pc = this.#pc;
    const isCollision = isOffer && (this.#isMakingOffer || pc.signalingState !== 'stable');
    if (isCollision && !this.participant.polite) return;
    await pc.setRemoteDescription(description);
    await this.#addEarly();
    if (!isOffer) return;
    if (this.wants === 'chat') {
      pc.getTransceivers().forEach((transceiver) => { transceiver.direction = 'inactive'; });
    }
    await pc.setLocalDescription();
    this.#describe();
    this.trouble = '';
  }

  // A candidate may come before the description it belongs to, and after one that we have ignored.
  async #takeCandidate(candidate) {
    if (this.#fits(candidate)) {
      await this.#pc.addIceCandidate(candidate);
      return;
    }
    this.#early.push(candidate);
    if (this.#early.length > CANDIDATE_LIMIT) this.#early.shift();
  }

  async #addEarly() {
    const early = this.#early;
    this.#early = [];
    for (const candidate of early) await this.#takeCandidate(candidate);
  }

  #fits(candidate) {
    const sdp = this.#pc?.remoteDescription?.sdp;
    if (!sdp) return false;
    const fragment = candidate?.usernameFragment;
    return !fragment || sdp.split(/\r?\n/).includes(`a=ice-ufrag:${fragment}`);
  }
}

/** The SDP that this browser would offer for a stream. */
export async function previewOffer(stream, iceServers) {
  const pc = new RTCPeerConnection({ iceServers });
  try {
    pc.createDataChannel(CHANNEL.label, { negotiated: true, id: CHANNEL.id });
    for (const kind of ['audio', 'video']) {
      const track = stream?.getTracks().find((track) => track.kind === kind);
      if (track) {
        pc.addTrack(track, stream);
      } else {
        pc.addTransceiver(kind, { direction: 'recvonly' });
      }
    }
    return (await pc.createOffer()).sdp;
  } finally {
    pc.close();
  }
}

function summarize(stats) {
  const all = [...stats.values()];
  const selected = all.find(({ type, selectedCandidatePairId }) => type === 'transport' && selectedCandidatePairId);
  const pair = selected
    ? stats.get(selected.selectedCandidatePairId)
    : all.find((one) => one.type === 'candidate-pair' && (one.selected || (one.nominated && one.state === 'succeeded')));
  const picture = all.find(({ type, kind, frameWidth }) => type === 'inbound-rtp' && kind === 'video' && frameWidth);
  return {
    pair: pair ? { local: candidate(stats.get(pair.localCandidateId)), remote: candidate(stats.get(pair.remoteCandidateId)) } : null,
    roundTrip: pair?.currentRoundTripTime ?? null,
    picture: picture
      ? { width: picture.frameWidth, height: picture.frameHeight, perSecond: picture.framesPerSecond ?? 0, decoded: picture.framesDecoded }
      : null,
  };
}

// Browsers hide addresses from pages that may not use the camera.
function candidate(report) {
  const { candidateType = 'unknown', protocol = '', relayProtocol, address, ip, port } = report ?? {};
  const host = address || ip;
  return {
    type: candidateType,
    protocol: relayProtocol ?? protocol,
    address: host ? `${host.includes(':') ? `[${host}]` : host}:${port}` : 'address hidden',
  };
}
