/*
 * A seat in a room of the `rooms` application: protocol 2, over a connection that comes back by
 * itself. The seat outlives the connection: a client that is cut off returns to it, gets the
 * messages that it missed, and repeats those that did not get through. No message arrives twice:
 * receipts tell which have arrived, and the server takes no more from the earlier connection.
 *
 *   const signaling = new Signaling('/signal', {
 *     state(state, trouble) {},            // of the connection; see connection.js
 *     countdown(seconds) {},
 *     joined(seat, participants, { isReturn }) {}, // the whole roster; not a return: nothing known before counts
 *     changed(change, participant) {},     // of the roster
 *     signal(type, participant, body) {},  // offer, answer, ice
 *     text(participant, text) {},
 *     fate(ref, fate, ids) {},             // of sent messages: delivered, queued, expired, refused
 *     refused(code, trouble) {},           // no seat to be had; a sentence for people
 *     trouble(text) {},                    // a sentence for people
 *   });
 *   signaling.join({ room: 7, name: 'Ann', transport: '' });
 *   signaling.send('offer', participant, { sdp }); // its ref, for `fate`
 *   signaling.leave();
 */

// A participant that is away for longer than its grace time, 15 s, is gone: so try often.
const LONGEST_DELAY = 2500;
// How long (ms) leaving may take before the connection is closed anyway.
const LEAVE_PATIENCE = 2000;
// jsonp-polling never learns that a request failed: a `join` that has no answer by then (ms) is
// sent again by a new session.
const JOIN_PATIENCE = 10000;
// Another page returned with this page's token, so this page has lost its seat.
const REPLACED = 4001;
const SEAT_KEY = 'call-seat';
// By the error's code: the server's own words are for authors of clients.
const REFUSALS = new Map(Object.entries({
  room_full: (room) => `Room ${room} is full. Join another one, or try again when a participant has left.`,
  too_many_rooms: () => 'All rooms of this server are in use. Join one of those on the page Rooms, or try again later.',
  bad_message: () => 'The server does not take this name. It may have up to 64 characters, and no line breaks.',
  too_large: () => 'That message was too large for the server. Send it in smaller parts.',
}));

export class Signaling {
  #connection;
  #on;
  #request = null; // {room, name} that is wanted; null: no seat
  #seat = null; // {room, id, token}
  #isFresh = false; // the seat is that of the page before a reload
  #isSeated = false; // in this connection
  #isLeaving = false;
  #timer = 0; // for an answer to `join` or `leave`
  #seen = 0;
  #waiting = 0; // messages that this connection still owes from before
  #roster = new Map();
  #unsettled = []; // sent, and nothing heard of it: {ref, to, message}, in order
  #held = []; // for participants that are away and whose mailbox is full
  #lastRef = 0;

  constructor(url, on) {
    this.url = url;
    this.#on = on;
    this.#connection = new window.Connection(url, {
      state: (state, trouble, code) => this.#onState(state, trouble, code),
      message: (text) => this.#onMessage(text),
      countdown: (seconds) => on.countdown(seconds),
    }, { longestDelay: LONGEST_DELAY, probe: (id) => JSON.stringify({ type: 'ping', ref: id }) });
  }

  /** The transport in use, or ''. */
  get transport() {
    return this.#connection.transport;
  }

  /** Whether messages reach the server now. */
  get isSeated() {
    return this.#isSeated;
  }

  join({ room, name, transport }) {
    this.#request = { room, name };
    this.#seat = recallSeat(room);
    this.#isFresh = this.#seat !== null;
    this.#forget();
    // A session that is just leaving takes the next seat when it has left.
    if (!this.#isLeaving) this.#connection.use(transport);
  }

  leave() {
    this.#request = null;
    forgetSeat();
    this.#forget();
    if (this.#connection.isOpen()) {
      this.#giveUpSeat();
    } else {
      this.#connection.close();
    }
  }

  /** Leaves as well as a page can that is being closed. */
  leaveAtOnce() {
    if (this.#isSeated) this.#connection.send(JSON.stringify({ type: 'leave' }));
  }

  /** Changes the transport; the seat is kept. */
  use(transport) {
    if (this.#request) this.#connection.use(transport);
  }

  /** Connects now, even if the connection counts as open. */
  reconnect() {
    if (this.#request) this.#connection.connect();
  }

  /** Asks whether the connection lives, which is made anew if not. */
  check() {
    if (this.#request) this.#connection.check();
  }

  /** Sends to one participant, now or when connected again. */
  send(type, participant, body) {
    const ref = this.#lastRef += 1;
    const message = JSON.stringify({
      type,
      to: participant.id,
      // A text is for any incarnation of that participant.
      toIncarnation: type === 'text' ? undefined : participant.incarnation,
      ref,
      ...body,
    });
    this.#post({ ref, to: participant.id, message });
    return ref;
  }

  // Even without a welcome yet: the server has read our `join` when it reads this.
  #giveUpSeat() {
    this.#seat = null;
    this.#isSeated = false;
    this.#isLeaving = true;
    this.#connection.send(JSON.stringify({ type: 'leave' }));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#left(), LEAVE_PATIENCE);
  }

  #post(entry) {
    this.#unsettled.push(entry);
    if (this.#isSeated && this.#waiting === 0) this.#connection.send(entry.message);
  }

  #forget() {
    this.#roster.clear();
    this.#unsettled = [];
    this.#held = [];
    this.#seen = 0;
    this.#waiting = 0;
  }

  #onState(state, trouble, code) {
    this.#isSeated = false;
    clearTimeout(this.#timer);
    if (state === 'open') this.#takeSeat();
    if (this.#isLeaving && state !== 'open') this.#left();
    if (code === REPLACED) {
      this.#request = null;
      this.#seat = null;
      this.#connection.close();
      this.#on.refused('replaced', 'This call goes on in another tab or window, which took it over. Join again to bring it back here.');
      return;
    }
    this.#on.state(state, trouble);
  }

  #takeSeat() {
    if (!this.#request) return;
    const { room, name } = this.#request;
    const join = { type: 'join', protocol: 2, room };
    if (this.#seat) {
      const { id, token } = this.#seat;
      Object.assign(join, this.#isFresh ? { id, token, fresh: true } : { id, token, seen: this.#seen });
    } else if (name) {
      join.name = name;
    }
    this.#connection.send(JSON.stringify(join));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      console.warn('sockeye: no answer to the request to join room', join.room);
      this.#connection.giveUp('The server did not answer the request to join. '
        + `If it is yours, see whether it was started with --endpoint ${this.url}=rooms.`);
    }, JOIN_PATIENCE);
  }

  #onMessage(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      message = {};
    }
    if (message.type === 'pong') {
      this.#connection.answered(message.ref);
      return;
    }
    const isNumbered = Number.isInteger(message.seq);
    if (isNumbered) this.#seen = Math.max(this.#seen, message.seq);
    // Late messages were on their way when this page left.
    if (this.#isLeaving && message.type !== 'left' && message.type !== 'error') return;
    switch (message.type) {
      case 'welcome': this.#welcome(message); break;
      case 'roster': this.#onRoster(message); break;
      case 'offer': case 'answer': case 'ice': this.#onSignal(message); break;
      case 'text': this.#onText(message); break;
      case 'delivered': case 'queued': case 'expired': this.#settle(message.ref, message.type, message.to); break;
      case 'error': this.#onError(message); break;
      case 'left': this.#left(); break;
      case 'join':
        // A page that says nothing for a second is told this, as pages of protocol 1 want it; an
        // echo is something else.
        if (message.from !== 'Server') this.#wrongServer();
        break;
      default:
        if (typeof message.type !== 'string') this.#wrongServer();
    }
    // After its effects: a receipt among the waiting messages may settle one that would be sent
    // again.
    if (isNumbered && this.#waiting > 0) {
      this.#waiting -= 1;
      if (this.#waiting === 0) this.#sendAgain();
    }
  }

  #welcome(welcome) {
    if (!Array.isArray(welcome.participants)) {
      this.#wrongServer();
      return;
    }
    clearTimeout(this.#timer);
    const isReturn = welcome.returned && !this.#isFresh;
    if (isReturn && welcome.missed > 0) {
      // An offer may be among the lost messages. Neither side can tell, so all begin anew.
      this.#giveUpSeat();
      return;
    }
    if (!isReturn) this.#forget();
    this.#seat = { room: welcome.room, id: welcome.id, token: welcome.token };
    rememberSeat(this.#seat);
    this.#isFresh = false;
    this.#isSeated = true;
    this.#waiting = welcome.waiting;
    this.#roster = new Map(welcome.participants.map((participant) => [participant.id, participant]));
    this.#on.joined(this.#seat, welcome.participants, { isReturn });
    for (const participant of welcome.participants) this.#release(participant);
    if (this.#waiting === 0) this.#sendAgain();
  }

  #sendAgain() {
    for (const { message } of this.#unsettled) this.#connection.send(message);
  }

  #onRoster({ change, participant }) {
    if (change === 'left') {
      this.#roster.delete(participant.id);
    } else {
      this.#roster.set(participant.id, participant);
    }
    if (change === 'left' || change === 'renewed') this.#held = this.#held.filter(({ to }) => to !== participant.id);
    this.#on.changed(change, participant);
    this.#release(participant);
  }

  #onSignal({ type, from, incarnation, sdp, candidate }) {
    const participant = this.#roster.get(from);
    // Of a connection that is no more.
    if (!participant || incarnation < participant.incarnation) return;
    this.#on.signal(type, participant, type === 'ice' ? candidate : sdp);
  }

  #onText({ from, data }) {
    this.#on.text(this.#roster.get(from) ?? { id: from }, data);
  }

  #settle(ref, fate, ids) {
    this.#unsettled = this.#unsettled.filter((entry) => entry.ref !== ref);
    this.#on.fate(ref, fate, ids ?? []);
  }

  #onError({ code, message, ref }) {
    if (ref === undefined) {
      this.#onJoinError(code, message);
      return;
    }
    const entry = this.#unsettled.find((entry) => entry.ref === ref);
    this.#unsettled = this.#unsettled.filter((other) => other !== entry);
    if (entry && code === 'mailbox_full') {
      this.#held.push(entry);
      return;
    }
    this.#on.fate(ref, 'refused', []);
    // It left, or came anew, while this was on its way: the roster tells.
    if (code !== 'no_such_participant' && code !== 'stale') this.#on.trouble(refusal(code, message, this.#seat?.room));
  }

  #onJoinError(code, message) {
    if (this.#isLeaving) {
      this.#left();
    } else if (this.#isSeated || !this.#request) {
      this.#on.trouble(refusal(code, message, this.#seat?.room));
    } else if (code === 'wrong_token') {
      // Away for too long: the seat is gone, so take another.
      this.#seat = null;
      this.#isFresh = false;
      forgetSeat();
      this.#takeSeat();
    } else {
      const { room } = this.#request;
      this.#request = null;
      this.#connection.close();
      this.#on.refused(code, refusal(code, message, room));
    }
  }

  /** Sends the messages held back for a participant, if it is there again. */
  #release(participant) {
    if (participant.away) return;
    const entries = this.#held.filter(({ to }) => to === participant.id);
    this.#held = this.#held.filter(({ to }) => to !== participant.id);
    for (const entry of entries) this.#post(entry);
  }

  #left() {
    clearTimeout(this.#timer);
    this.#isLeaving = false;
    if (!this.#request) {
      this.#connection.close();
    } else if (this.#connection.isOpen()) {
      this.#takeSeat();
    }
  }

  #wrongServer() {
    this.#request = null;
    this.#connection.close();
    this.#on.refused('wrong_server', `There are no calls at ${this.url} on this server. `
      + `If it is yours, start it with --endpoint ${this.url}=rooms.`);
  }
}

// The seat is kept for a reload of the page, which then takes it again at once.
function rememberSeat(seat) {
  try {
    sessionStorage.setItem(SEAT_KEY, JSON.stringify(seat));
  } catch { /* Without storage a reload joins as a new participant. */ }
}

/** The seat of the page before this one, if it is in that room. */
export function recallSeat(room) {
  try {
    const seat = JSON.parse(sessionStorage.getItem(SEAT_KEY));
    return seat?.room === room ? seat : null;
  } catch {
    return null;
  }
}

function forgetSeat() {
  try {
    sessionStorage.removeItem(SEAT_KEY);
  } catch { /* Nothing was kept either. */ }
}

function refusal(code, message, room) {
  const known = REFUSALS.get(code);
  if (known) return known(room);
  console.warn('sockeye: the server refused:', code, message);
  return 'The server did not take what this page sent. Reload the page; if that does not help, the page and the server may be of different versions.';
}
