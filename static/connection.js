/*
 * A SockJS connection that comes back by itself. ES5: the browsers that need
 * the fallback transports most are the ones that run nothing newer.
 *
 *   var connection = new Connection('/ws', {
 *     state: function (state, trouble, code) {}, // see below
 *     message: function (text) {},
 *     countdown: function (seconds) {}        // whole seconds until the next attempt
 *   }, {
 *     longestDelay: 30000                     // ms between two attempts, at most; the default
 *   });
 *   connection.use('xhr-streaming');          // '' is automatic; (re)connects
 *   connection.send(text);                    // false: not open, nothing was sent
 *   connection.close();                       // until it is used again
 *
 * States: `connecting`; `open` (`connection.transport` names the transport);
 * `waiting` for the next attempt; `closed`, as asked for; `unavailable`, when
 * there is no SockJS client to connect with. `trouble` is a sentence for people:
 * what went wrong and what to do about it, or '' when nothing did. `code` is the
 * close code that led to `waiting`; whoever does not want to wait may close.
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

  function Connection(url, on, options) {
    this.url = url;
    this.on = on;
    this.longestDelay = (options && options.longestDelay) || LONGEST_DELAY;
    this.choice = '';
    this.transport = '';
    this.sock = null;
    this.attempt = 0;
    this.openedAt = 0;
    this.retryAt = 0;
    this.timer = null;
  }

  Connection.prototype.use = function (transport) {
    this.choice = transport;
    this.attempt = 0;
    this.connect();
  };

  // Connects now: also the way to cut a wait short.
  Connection.prototype.connect = function () {
    var self = this;
    var sock;
    clearTimeout(this.timer);
    this.drop();
    if (typeof global.SockJS !== 'function') {
      this.on.state('unavailable', 'The SockJS client library did not load, so this page cannot connect. ' +
        'If this is your server: run "npm ci" in its static/ directory and build it again, ' +
        'or let this browser reach cdn.jsdelivr.net. Then reload the page.');
      return;
    }
    this.on.state('connecting', '');
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
      self.on.state('open', '');
    };
    sock.onmessage = function (event) {
      if (sock === self.sock) { self.on.message(event.data); }
    };
    sock.onclose = function (event) {
      if (sock !== self.sock) { return; }
      if (self.openedAt && now() - self.openedAt > GOOD_AFTER) { self.attempt = 0; }
      self.sock = null;
      self.wait(explain(event.code, event.reason, self), event.code);
    };
  };

  Connection.prototype.close = function () {
    clearTimeout(this.timer);
    this.drop();
    this.on.state('closed', '');
  };

  Connection.prototype.send = function (text) {
    if (!this.isOpen()) { return false; }
    this.sock.send(text);
    return true;
  };

  // For a page that finds its connection useless although it is open.
  Connection.prototype.giveUp = function (trouble) {
    this.drop();
    this.wait(trouble);
  };

  Connection.prototype.isOpen = function () {
    return this.sock !== null && this.sock.readyState === 1;
  };

  Connection.prototype.isWaiting = function () {
    return this.retryAt !== 0;
  };

  // Forgets the present socket; what it still reports no longer counts.
  Connection.prototype.drop = function () {
    var sock = this.sock;
    this.sock = null;
    this.transport = '';
    this.openedAt = 0;
    this.retryAt = 0;
    if (sock) { sock.close(); }
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
    if (this.isWaiting()) { this.tick(); } // whoever was told may have closed or connected meanwhile
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
