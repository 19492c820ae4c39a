/*
 * A SockJS connection that comes back by itself, also when it was lost without
 * a sign: a network can forget a connection, and a phone can sleep through its
 * end. ES5: the browsers that need the fallback transports most are the ones
 * that run nothing newer.
 *
 *   var connection = new Connection('/ws', {
 *     state: function (state, trouble, code) {}, // see below
 *     message: function (text) {},
 *     countdown: function (seconds) {}        // whole seconds until the next attempt
 *   }, {
 *     longestDelay: 30000,                    // ms between two attempts, at most; the default
 *     probe: function (id) { return text; }   // a message whose answer is due at once: see `answered`
 *   });
 *   connection.use('xhr-streaming');          // '' is automatic; (re)connects
 *   connection.send(text);                    // false: not open, nothing was sent
 *   connection.answered(id);                  // the answer to a probe has come
 *   connection.check();                       // asks whether it lives; ends a wait for the next attempt
 *   connection.close();                       // until it is used again
 *
 * It is lost when the server's heartbeats stay out, and when a probe is not answered. It probes
 * when the network or the page comes back, and when a sent message gets no answer: the server
 * answers all messages of these pages.
 *
 * States: `connecting`; `open` (`connection.transport` names the transport); `waiting` for the next
 * attempt; `closed`, as asked for; `unavailable`, when there is no SockJS client to connect with.
 * `trouble` is a sentence for people with the failure and its remedy, or '' without one. `code` is
 * the close code that led to `waiting`; a page that does not want to wait may close.
 */
(function (global) {
  'use strict';

  var FIRST_DELAY = 1000; // ms; doubled after each failure
  var LONGEST_DELAY = 30000;
  // A connection that lasted this long (ms) was a good one: the next failure
  // starts again with the first delay. A shorter one did not prove anything, and
  // a server that accepts and drops at once must not be hammered.
  var GOOD_AFTER = 10000;
  // A single transport has no other to fall back to, so it is worth a longer
  // wait (ms) than sockjs-client's own, which is about two round trips.
  var PATIENCE = 10000;

  // The server lists its endpoints there, each with the heartbeat delay in seconds.
  var ENDPOINTS = '/endpoints.json';
  var USUAL_DELAY = 25000; // ms; of SockJS servers that were not told another
  var LATE = 10000; // ms that a heartbeat may be late by
  var ANSWER_DUE = 5000; // ms until a probe, and anything that is sent, is answered
  // A timer that runs so late (ms) was asleep with its page: frames that came meanwhile wait to be
  // read.
  var ASLEEP = 3000;
  // A heartbeat comes after a silence. A frame that comes earlier (ms) after another is the prelude
  // of a stream.
  var PRELUDE = 1000;
  var LONGEST_TIMER = 3600000; // ms; a browser's timer knows no more than 24 days
  // A browser keeps no more connections to a server than these for its requests.
  var KEPT_CONNECTIONS = 6;
  var FRESH_WITHIN = 3000; // ms

  function Connection(url, on, options) {
    var self = this;
    this.url = url;
    this.on = on;
    this.longestDelay = (options && options.longestDelay) || LONGEST_DELAY;
    this.makeProbe = (options && options.probe) || null;
    this.choice = '';
    this.transport = '';
    this.sock = null;
    this.attempt = 0;
    this.openedAt = 0;
    this.retryAt = 0;
    this.timer = null;
    this.delay = null; // ms between heartbeats, as the server says
    this.beats = false; // this connection has had a heartbeat
    this.heardAt = 0; // the last frame
    this.askedAt = 0; // sent since then, the first of it; 0: nothing
    this.probing = ''; // the id of the probe that is not answered
    this.probes = 0;
    this.timers = {}; // silence, answer, probe
    this.freshening = null;
    global.addEventListener('online', function () { self.check(); });
    document.addEventListener('visibilitychange', function () {
      if (!document.hidden) { self.check(); }
    });
  }

  Connection.prototype.use = function (transport) {
    this.choice = transport;
    this.attempt = 0;
    this.connect();
  };

  // Connects now: also the way to cut a wait short. The trouble is its cause.
  Connection.prototype.connect = function (trouble) {
    var self = this;
    var sock;
    this.drop();
    if (typeof global.SockJS !== 'function') {
      this.on.state('unavailable', 'The SockJS client library did not load, so this page cannot connect. ' +
        'If this is your server: run "npm ci" in its static/ directory and build it again, ' +
        'or let this browser reach cdn.jsdelivr.net. Then reload the page.');
      return;
    }
    this.on.state('connecting', trouble || '');
    try {
      sock = new global.SockJS(this.url, null, this.choice ? { transports: this.choice, timeout: PATIENCE } : {});
    } catch (refused) {
      this.wait('The browser refused to connect: ' + refused.message);
      return;
    }
    this.sock = sock;
    sock.onopen = function () {
      if (sock !== self.sock) { return; }
      self.openedAt = now();
      self.transport = sock.transport;
      self.beats = false;
      self.hear();
      self.learn();
      self.watch();
      self.on.state('open', '');
    };
    sock.onmessage = function (event) {
      if (sock !== self.sock) { return; }
      self.hear();
      self.on.message(event.data);
    };
    sock.onheartbeat = function () {
      if (sock !== self.sock || !self.openedAt) { return; }
      if (!self.beats && now() - self.heardAt > PRELUDE) {
        self.beats = true;
        self.watch();
      }
      self.hear();
    };
    sock.onclose = function (event) {
      if (sock !== self.sock) { return; }
      if (self.openedAt && now() - self.openedAt > GOOD_AFTER) { self.attempt = 0; }
      self.sock = null;
      self.wait(explain(event.code, event.reason, self), event.code);
    };
  };

  Connection.prototype.close = function () {
    this.drop();
    this.on.state('closed', '');
  };

  Connection.prototype.send = function (text) {
    if (!this.isOpen()) { return false; }
    this.sock.send(text);
    if (this.makeProbe && !this.askedAt) {
      this.askedAt = now();
      this.expect(ANSWER_DUE);
    }
    return true;
  };

  // For a page that finds its connection useless although it is open.
  Connection.prototype.giveUp = function (trouble) {
    this.drop();
    this.freshen();
    this.wait(trouble);
  };

  Connection.prototype.isOpen = function () {
    return this.sock !== null && this.sock.readyState === 1;
  };

  Connection.prototype.isWaiting = function () {
    return this.retryAt !== 0;
  };

  // -- Whether the connection lives ---------------------------------------

  // For a page that has a reason to doubt it.
  Connection.prototype.check = function () {
    if (this.isWaiting()) {
      this.connect();
    } else if (this.isOpen()) {
      this.probe();
    }
  };

  Connection.prototype.answered = function (id) {
    if (String(id) !== this.probing) { return; }
    this.probing = '';
    clearTimeout(this.timers.probe);
  };

  // How long (ms) silence may last; 0: forever, as no limit is known.
  Connection.prototype.patience = function () {
    if (this.delay !== null) { return this.delay + LATE; }
    return this.beats ? USUAL_DELAY + LATE : 0;
  };

  Connection.prototype.hear = function () {
    this.heardAt = now();
    this.askedAt = 0;
  };

  Connection.prototype.watch = function () {
    var self = this;
    var patience = this.patience();
    if (!patience) { return; }
    this.after('silence', patience - (now() - this.heardAt), function (slept) {
      if (now() - self.heardAt < self.patience()) {
        self.watch();
      } else if (slept && self.makeProbe) {
        // Frames that came while the page slept have not been read yet.
        self.heardAt = now();
        self.probe();
        self.watch();
      } else {
        self.lose();
      }
    });
  };

  // An answer must follow a sent message, or else a probe does.
  Connection.prototype.expect = function (time) {
    var self = this;
    this.after('answer', time, function () {
      var left = self.askedAt + ANSWER_DUE - now();
      if (!self.askedAt) { return; }
      if (left > 0) {
        self.expect(left);
      } else {
        self.probe();
      }
    });
  };

  Connection.prototype.probe = function () {
    var self = this;
    if (!this.makeProbe || this.probing) { return; }
    this.probing = String(this.probes += 1);
    this.sock.send(this.makeProbe(this.probing));
    this.after('probe', ANSWER_DUE, function (slept) {
      self.probing = '';
      if (slept) {
        self.probe();
      } else {
        self.lose();
      }
    });
  };

  // A timer of the present socket. `run` is told whether the page was asleep when it was due.
  Connection.prototype.after = function (name, time, run) {
    var self = this;
    var sock = this.sock;
    var delay = Math.min(Math.max(time, 0), LONGEST_TIMER);
    var due = now() + delay;
    clearTimeout(this.timers[name]);
    this.timers[name] = setTimeout(function () {
      if (sock === self.sock && self.isOpen()) { run(now() - due > ASLEEP); }
    }, delay);
  };

  Connection.prototype.lose = function () {
    var self = this;
    var trouble = 'No answer for ' + Math.round((now() - this.heardAt) / 1000) + ' s; reconnecting…';
    this.drop();
    this.on.state('connecting', trouble);
    this.freshen(function () { self.connect(trouble); });
  };

  // A browser sends a request down a connection that it has kept from before, and
  // those are as dead as the one that was lost. So many requests at once take them
  // all: the first answer comes over a new one, and giving up the others ends them.
  Connection.prototype.freshen = function (then) {
    var self = this;
    var requests = [];
    var left = KEPT_CONNECTIONS;
    var limit;
    function end() {
      var isDropped = self.freshening !== end;
      clearTimeout(limit);
      self.freshening = null;
      requests.forEach(function (request) { request.abort(); });
      if (then && !isDropped) { then(); }
    }
    function settle(isAnswered) {
      left -= 1;
      if (self.freshening === end && (isAnswered || left === 0)) { end(); }
    }
    this.freshening = end;
    limit = setTimeout(end, FRESH_WITHIN);
    while (requests.length < KEPT_CONNECTIONS) { requests.push(this.ask(settle)); }
  };

  Connection.prototype.learn = function () {
    this.ask(function () { return; });
  };

  // Asks the server for its endpoints, and keeps the heartbeat delay of this one.
  Connection.prototype.ask = function (done) {
    var self = this;
    var request = new XMLHttpRequest();
    var isOver = false;
    // Two requests of one address are one to a browser's cache, and the second waits for the first.
    request.open('GET', ENDPOINTS + '?' + Math.random().toString(36).slice(2));
    request.onreadystatechange = function () {
      if (request.readyState !== 4 || isOver) { return; }
      isOver = true;
      if (request.status === 200) { self.keepDelay(request.responseText); }
      done(request.status !== 0);
    };
    request.send();
    return request;
  };

  Connection.prototype.keepDelay = function (text) {
    var url = this.url;
    var own;
    try {
      own = JSON.parse(text).filter(function (endpoint) { return endpoint.prefix === url; })[0];
    } catch (noList) {
      return;
    }
    if (!own || typeof own.heartbeat_delay !== 'number') { return; }
    this.delay = own.heartbeat_delay * 1000;
    this.watch();
  };

  // -- Ends and waits --------------------------------------------------------

  // Forgets the present socket; its later events no longer count.
  Connection.prototype.drop = function () {
    var sock = this.sock;
    var freshening = this.freshening;
    var name;
    clearTimeout(this.timer);
    for (name in this.timers) {
      if (this.timers.hasOwnProperty(name)) { clearTimeout(this.timers[name]); }
    }
    this.freshening = null;
    this.askedAt = 0;
    this.probing = '';
    this.sock = null;
    this.transport = '';
    this.openedAt = 0;
    this.retryAt = 0;
    if (sock) { sock.close(); }
    if (freshening) { freshening(); }
  };

  Connection.prototype.wait = function (trouble, code) {
    var longest = Math.min(this.longestDelay, FIRST_DELAY * Math.pow(2, this.attempt));
    this.attempt += 1;
    this.transport = '';
    this.openedAt = 0;
    // Jitter over half of the delay: the clients of a server that went down
    // should not all come back in the same instant.
    this.retryAt = now() + longest / 2 + Math.random() * longest / 2;
    this.on.state('waiting', trouble, code);
    if (this.isWaiting()) { this.tick(); } // the callback may have closed or connected meanwhile
  };

  Connection.prototype.tick = function () {
    var self = this;
    var left = this.retryAt - now();
    if (left <= 0) {
      this.connect();
      return;
    }
    this.on.countdown(Math.ceil(left / 1000));
    this.timer = setTimeout(function () { self.tick(); }, left % 1000 || 1000);
  };

  // The close codes of SockJS and of this server, as advice.
  function explain(code, reason, connection) {
    var choice = connection.choice;
    if (code === 1002 && /^Cannot connect/.test(reason)) {
      return 'The server does not answer at ' + connection.url + '. If you run it, see whether it is up and serves that endpoint.';
    }
    if (code === 2000 && choice) {
      return choice + ' did not get through: this browser lacks it, the server has it switched off, ' +
        'or something on the way blocks it. Choose another transport, or Automatic.';
    }
    if (code === 2000) {
      return 'No transport got through. Look for a proxy, a firewall or a browser extension ' +
        'between this page and the server.';
    }
    if (code === 1006) {
      return 'The connection was lost' + (reason ? ' (' + reason + ')' : '') + '.';
    }
    if (code === 1009) {
      return 'The last message was larger than the server accepts. Send it in smaller pieces.';
    }
    return 'The server ended the session: ' + (reason || 'no reason given') + ' (' + code + ').';
  }

  function now() {
    return new Date().getTime();
  }

  global.Connection = Connection;
}(window));
