/*
 * One transport, measured: does it open, how long is a round trip, do streams
 * arrive as they are sent, how large may a message be. ES5.
 *
 *   var run = Compare.measure('xhr-streaming', way, function tell(result, doing) {}, function done(result) {});
 *   run.end();                                  // stops it; nothing is called any more
 *
 * `way` is {endpoint, roundTrip, websocket}: the echo endpoint's prefix, the
 * median round trip (ms) of its info, and whether that says that WebSocket is on.
 *
 * A result:
 *   transport
 *   opened      ms from the wish to the open session, the client's own request of info included
 *   trips       ms of each round trip
 *   traffic     {requests, bytes, notes}, for a message and its echo; bytes of the bodies of answers; null: not told
 *   stream      {how: 'as sent' | 'lumps', spacing, marks: [[sent, arrived], …]}, ms from the first; null where nothing streams
 *   largest     bytes of the largest message that came back; `refused` is {bytes, cause, …} of the next one
 *   idle        {seconds, survived, after, how, heartbeats}, from silence.js
 *   failure     {step, cause, held, status, closed, directive, blocked}; causes are those of verdict.js
 * Each is null until it is known.
 */
(function (global) {
  'use strict';

  var Compare = global.Compare;

  var TRIPS = 20;
  var TRIPS_LIMIT = 15000; // ms; a slow network gets fewer trips rather than a longer wait
  var PAUSE = 60; // ms between two trips: sockjs-client waits 25 ms after each send, which would be measured otherwise
  var CHUNKS = 12;
  var KIB = 1024;
  var SIZES = [1, 4, 16, 64, 256, 512, 1024].map(function (kib) { return kib * KIB; });
  var SIZE_PATIENCE = 10000; // ms for a message of any size, there and back
  var OPEN_PATIENCE = 12000; // ms to open, where the server has not said that it knows the session
  var LOOK = 500; // ms between two checks
  // More than fits into one streaming response (128 KiB by default): the server ends it.
  var SHAKE = 160 * KIB;
  var SETTLE = 150; // ms until the browser has written down the last request

  function isStreaming(transport) {
    return /^(iframe-)?(xhr-streaming|eventsource|htmlfile)$/.test(transport);
  }

  Compare.measure = function (transport, way, tell, done) {
    var run = new Run(transport, way, tell, done);
    run.scope.after(0, function () { run.open(); });
    return run.scope;
  };

  Compare.blank = function (transport) {
    return {
      transport: transport, opened: null, trips: [], traffic: null, stream: null,
      largest: null, refused: null, idle: null, failure: null
    };
  };

  function Run(transport, way, tell, done) {
    this.scope = new Compare.Scope();
    this.transport = transport;
    this.way = way;
    this.tell = tell;
    this.done = done;
    this.patience = Compare.patience(way);
    this.link = null;
    this.startedAt = Compare.clock();
    this.knownAt = 0; // when the server was known to have sent the awaited message
    this.shaking = false;
    this.explaining = false;
    this.result = Compare.blank(transport);
    clearTimelines();
  }

  // Once: a session that closes answers all that was expected of it, and each answer may be the
  // end.
  Run.prototype.finish = function () {
    if (this.scope.over) { return; }
    this.scope.end();
    this.done(this.result);
  };

  Run.prototype.fail = function (step, cause, more) {
    var failure = { step: step, cause: cause };
    Object.keys(more || {}).forEach(function (key) { failure[key] = more[key]; });
    this.result.failure = failure;
    this.finish();
  };

  // -- Opening -----------------------------------------------------------------

  Run.prototype.open = function () {
    var self = this;
    var lack = lacking(this.transport, this.way);
    if (lack) {
      this.fail('open', lack);
      return;
    }
    this.tell(this.result, 'opening');
    this.link = new Compare.Link(this.scope, this.transport, this.way.endpoint);
    this.link.onopen = function () {
      if (self.shaking) { return; }
      self.result.opened = Compare.clock() - self.startedAt;
      self.tell(self.result, 'open');
      self.scope.after(SETTLE, function () { self.trips(); });
    };
    this.link.onclose = function (closed) {
      if (self.result.opened === null && !self.shaking) { self.unopened({ closed: closed }); }
    };
    this.scope.after(3 * LOOK, function () { self.watchOpening(); });
  };

  // A session that does not open may have been opened by the server all the same: an empty payload
  // finds out.
  Run.prototype.watchOpening = function () {
    var self = this;
    var since = Compare.clock() - this.startedAt;
    function again() {
      self.scope.after(LOOK, function () { self.watchOpening(); });
    }
    if (this.link.isOpen || this.link.closed) { return; }
    if (this.knownAt && Compare.clock() - this.knownAt > this.patience) {
      this.heldBack('open', function () { return self.link.isOpen; });
    } else if (!this.knownAt && since > Math.max(OPEN_PATIENCE, 3 * this.patience)) {
      this.unopened({});
    } else if (this.knownAt || this.transport === 'websocket') {
      again();
    } else {
      this.link.post([], this.patience, function (answer) {
        if (answer.status === 204) { self.knownAt = Compare.clock(); }
        again();
      });
    }
  };

  /*
   * The server has sent something and nothing arrives. A buffering proxy must let go when the
   * response ends, and it ends when it has grown to its limit: a large message, sent past the
   * transport, does that. Frames that arrive then have been buffered.
   */
  Run.prototype.heldBack = function (step, hasArrived) {
    var self = this;
    var held = Math.round(Compare.clock() - (this.knownAt || this.startedAt));
    if (this.shaking) { return; }
    if (!isStreaming(this.transport)) {
      this.fail(step, 'answers', { held: held });
      return;
    }
    this.shaking = true;
    this.tell(this.result, 'nothing arrives; ends the response to flush buffers on the way');
    this.link.post(['shake ' + filler(SHAKE)], SIZE_PATIENCE, function (answer) {
      var until = Compare.clock() + self.patience;
      function look() {
        if (hasArrived()) {
          self.fail(step, 'buffering', { held: held });
        } else if (Compare.clock() > until || self.link.closed) {
          self.fail(step, 'answers', { held: held, status: answer.status === 204 ? 0 : answer.status });
        } else {
          self.scope.after(100, look);
        }
      }
      look();
    });
  };

  // Once, by the first check that notices.
  Run.prototype.unopened = function (more) {
    var self = this;
    if (this.explaining) { return; }
    this.explaining = true;
    this.tell(this.result, 'does not open; looks for the cause');
    this.scope.after(SETTLE, function () { Compare.why(self, more); });
  };

  // -- Round trips ---------------------------------------------------------------

  Run.prototype.trips = function () {
    var self = this;
    var before = this.link.requests();
    var until = Compare.clock() + TRIPS_LIMIT;
    function trip(number) {
      var tag = 'trip-' + number;
      var sent = Compare.clock();
      self.tell(self.result, 'round trip ' + number + ' of ' + TRIPS);
      self.link.expect(tag, 2 * self.patience, function (answer) {
        if (answer.closed) {
          self.fail('round trip', 'closed', { closed: answer.closed, status: self.link.requests().status });
        } else if (answer.late) {
          self.knownAt = sent;
          self.heldBack('round trip', function () { return tag in self.link.heard; });
        } else {
          self.result.trips.push(answer.at - sent);
          if (number < TRIPS && answer.at < until) {
            self.scope.after(PAUSE + Math.random() * PAUSE, function () { trip(number + 1); });
          } else {
            self.scope.after(SETTLE, function () { self.traffic(before); });
          }
        }
      });
      self.link.send(tag + ' ' + filler(48));
    }
    trip(1);
  };

  Run.prototype.traffic = function (before) {
    var now = this.link.requests();
    var messages = this.result.trips.length;
    var notes = [];
    var traffic = { requests: (now.count - before.count) / messages, bytes: null, notes: notes };
    if (this.transport === 'websocket') {
      traffic.requests = 0; // by its nature; the browser lists none either
      notes.push('websocket bytes');
    } else if (!Compare.tellsRequests()) {
      traffic.requests = null;
      notes.push('no timeline');
    } else if (isStreaming(this.transport)) {
      notes.push('open response');
    } else {
      traffic.bytes = now.bytes === null ? null : (now.bytes - before.bytes) / messages;
      notes.push(traffic.bytes === null ? 'no sizes' : 'headers');
      if (this.transport === 'jsonp-polling') { notes.push('form'); }
    }
    if (/^iframe-/.test(this.transport)) { notes.push('own origin'); }
    this.result.traffic = traffic;
    this.stream(1);
  };

  // -- Streams ---------------------------------------------------------------------

  // Messages at even intervals: on the way that does not buffer they arrive at even intervals.
  Run.prototype.stream = function (attempt) {
    var self = this;
    var spacing = Math.round(Math.min(400, Math.max(100, 2 * this.way.roundTrip)));
    var marks = [];
    var missing = CHUNKS;
    var first = Compare.clock();
    if (!isStreaming(this.transport) && this.transport !== 'websocket') {
      this.sizes();
      return;
    }
    function tagOf(number) { return 'chunk-' + attempt + '-' + number; }
    function send(number) {
      var sent = Compare.clock();
      self.tell(self.result, 'stream, ' + (number + 1) + ' of ' + CHUNKS);
      self.link.expect(tagOf(number), 2 * self.patience + CHUNKS * spacing, function (answer) {
        if (answer.closed) {
          self.fail('stream', 'closed', { closed: answer.closed });
        } else if (answer.late) {
          self.knownAt = sent;
          self.heldBack('stream', function () { return tagOf(number) in self.link.heard; });
        } else {
          marks.push([sent - first, answer.at - first]);
          missing -= 1;
          if (missing === 0) { self.streamed(attempt, spacing, marks); }
        }
      });
      self.link.send(tagOf(number) + ' ' + filler(48));
      if (number + 1 < CHUNKS) { self.scope.after(spacing, function () { send(number + 1); }); }
    }
    send(0);
  };

  // A page that was not given its turn in time sees lumps that were none: only those that show
  // twice count.
  Run.prototype.streamed = function (attempt, spacing, marks) {
    var how = Compare.inLumps(marks, spacing) ? 'lumps' : 'as sent';
    this.result.stream = { how: how, spacing: spacing, marks: marks };
    if (how === 'lumps' && attempt === 1) {
      this.stream(2);
      return;
    }
    this.sizes();
  };

  /*
   * Marks are [sent, arrived]. Lumps: two or more arrive together on average, some having waited longer than
   * others by more than the interval; when all waited alike, they were sent together.
   */
  Compare.inLumps = function (marks, spacing) {
    var lags = marks.map(function (mark) { return mark[1] - mark[0]; });
    var lumps = 1;
    var index;
    for (index = 1; index < marks.length; index += 1) {
      if (marks[index][1] - marks[index - 1][1] > spacing / 5) { lumps += 1; }
    }
    return lumps <= marks.length / 2 && Math.max.apply(null, lags) - Math.min.apply(null, lags) >= 1.5 * spacing;
  };

  // -- Sizes -----------------------------------------------------------------------

  Run.prototype.sizes = function () {
    var self = this;
    function refuse(bytes, cause, closed) {
      // The status of the refused request is on the timeline a moment later.
      self.scope.after(SETTLE, function () {
        self.result.refused = { bytes: bytes, cause: cause, closed: closed || null, status: self.link.requests().status };
        self.finish();
      });
    }
    function size(index) {
      var bytes = SIZES[index];
      var tag = 'size-' + index;
      var text;
      if (bytes === undefined) {
        self.finish();
        return;
      }
      text = tag + ' ' + filler(bytes - tag.length - 1);
      self.tell(self.result, 'a message of ' + Compare.bytes(bytes));
      self.link.expect(tag, SIZE_PATIENCE, function (answer) {
        if (answer.closed) {
          refuse(bytes, answer.closed.code === 1009 ? 'server' : 'closed', answer.closed);
        } else if (answer.late) {
          refuse(bytes, 'late');
        } else if (answer.text !== text) {
          refuse(bytes, 'changed');
        } else {
          self.result.largest = bytes;
          size(index + 1);
        }
      });
      self.link.send(text);
    }
    size(0);
  };

  Compare.sizeLimit = SIZES[SIZES.length - 1];

  // -- Small things --------------------------------------------------------------------

  // Obstacles that are known before an attempt.
  function lacking(transport, way) {
    var inner = transport.replace(/^iframe-/, '');
    var has = {
      websocket: typeof global.WebSocket !== 'undefined',
      eventsource: typeof global.EventSource !== 'undefined'
    };
    if (has[inner] === false || inner !== transport && !global.postMessage) { return 'lacking'; }
    return transport === 'websocket' && way.websocket === false ? 'off' : null;
  }

  // Text that does not compress well, of so many bytes.
  function filler(bytes) {
    while (filler.text.length < bytes) { filler.text += Math.random().toString(36).slice(2); }
    return filler.text.slice(0, bytes);
  }
  filler.text = '';

  function clearTimelines() {
    if (!global.performance || !performance.clearResourceTimings) { return; }
    performance.clearResourceTimings();
    // A browser keeps 250 by default, which one transport can fill.
    performance.setResourceTimingBufferSize(4000);
  }
}(window));
