/*
 * The base of the measurements of /compare: work that can be stopped, and a SockJS session whose
 * every message has a name. ES5, because the browsers that need the fallback transports most run
 * nothing newer.
 */
(function (global) {
  'use strict';

  var Compare = global.Compare = {};

  // -- Work that can be stopped ----------------------------------------------

  // Timers, requests and sessions that all end with it; nothing calls back afterwards.
  function Scope() {
    this.over = false;
    this.endings = [];
  }

  Scope.prototype.onEnd = function (ending) {
    this.endings.push(ending);
  };

  Scope.prototype.end = function () {
    this.over = true;
    this.endings.splice(0).forEach(function (ending) { ending(); });
  };

  Scope.prototype.after = function (ms, run) {
    var self = this;
    var timer = setTimeout(function () {
      if (!self.over) { run(); }
    }, ms);
    this.onEnd(function () { clearTimeout(timer); });
  };

  // `done` gets {status, text, ms}, once; status 0 is no answer within `patience` ms.
  Scope.prototype.ask = function (method, url, body, patience, done) {
    var self = this;
    var request = new XMLHttpRequest();
    var asked = Compare.clock();
    var answered = false;
    function answer() {
      if (answered || self.over) { return; }
      answered = true;
      done({ status: request.status, text: request.responseText, ms: Compare.clock() - asked });
    }
    request.onreadystatechange = function () {
      if (request.readyState === 4) { answer(); }
    };
    try {
      request.open(method, url);
      if (body !== null) { request.setRequestHeader('Content-Type', 'text/plain'); }
      request.send(body);
    } catch (refused) {
      this.after(0, answer);
    }
    this.after(patience, function () {
      request.abort();
      answer();
    });
    this.onEnd(function () { request.abort(); });
  };

  // -- A session -------------------------------------------------------------

  // sockjs-client gives a transport two round trips to open. Whether one opens at
  // all is for the measurement to find out, which has limits of its own.
  var CLIENT_PATIENCE = 60000;

  /*
   * Over one transport, at an echo endpoint. Its creator sets `onopen`, `onclose(event)`. Its path
   * is known, so that requests beside it can reach the same session: the server finds a session by
   * its id alone.
   */
  function Link(scope, transport, endpoint) {
    var self = this;
    var server = digits(3);
    var id = name(12);
    this.scope = scope;
    this.path = '/' + server + '/' + id + '/';
    this.url = endpoint + this.path;
    this.heard = {};
    this.expected = {};
    this.heartbeats = 0;
    this.isOpen = false;
    this.closed = null;
    this.onopen = function () {};
    this.onclose = function () {};
    this.sock = new global.SockJS(endpoint, null, {
      transports: transport, timeout: CLIENT_PATIENCE, server: server, sessionId: function () { return id; }
    });
    this.sock.onopen = function () {
      if (scope.over) { return; }
      self.isOpen = true;
      self.onopen();
    };
    this.sock.onmessage = function (event) {
      if (!scope.over) { self.hear(event.data); }
    };
    this.sock.onheartbeat = function () { self.heartbeats += 1; };
    this.sock.onclose = function (event) {
      if (scope.over || self.closed) { return; }
      self.closed = { code: event.code, reason: event.reason };
      self.onclose(self.closed);
      Object.keys(self.expected).forEach(function (tag) { self.answer(tag, { closed: self.closed }); });
    };
    scope.onEnd(function () { self.close(); });
  }

  // The first word of a message is its name.
  Link.prototype.send = function (text) {
    if (this.isOpen && !this.closed) { this.sock.send(text); }
  };

  // `done` gets {text, at}, {late: true} after `patience` ms, or {closed}.
  Link.prototype.expect = function (tag, patience, done) {
    var self = this;
    var one = { done: done };
    if (this.closed) {
      this.scope.after(0, function () { done({ closed: self.closed }); });
      return;
    }
    this.expected[tag] = one;
    this.scope.after(patience, function () {
      if (self.expected[tag] === one) { self.answer(tag, { late: true }); }
    });
  };

  Link.prototype.hear = function (text) {
    var tag = text.split(' ', 1)[0];
    var answer = { text: text, at: Compare.clock() };
    this.heard[tag] = answer;
    this.answer(tag, answer);
  };

  Link.prototype.answer = function (tag, answer) {
    var one = this.expected[tag];
    delete this.expected[tag];
    if (one) { one.done(answer); }
  };

  // Sends past the session's own transport, by a request of its own.
  Link.prototype.post = function (messages, patience, done) {
    this.scope.ask('POST', this.url + 'xhr_send?' + BESIDE, JSON.stringify(messages), patience, done);
  };

  Link.prototype.close = function () {
    this.closed = this.closed || { code: 1000, reason: '' };
    this.sock.onclose = this.sock.onmessage = this.sock.onopen = null;
    this.sock.close();
  };

  // -- A session's requests on the browser's timeline ---------------------------

  var BESIDE = 'by=compare'; // marks the requests that are not the transport's own

  // {count, bytes, status}: finished requests; bytes of the bodies of their answers, null when
  // untold; the last error status or 0. Most browsers report a constant as the size of headers, so
  // headers are left out.
  Link.prototype.requests = function () {
    var told = { count: 0, bytes: 0, status: 0 };
    var path = this.path;
    timelines().forEach(function (timeline) {
      timeline.getEntriesByType('resource').forEach(function (entry) {
        if (entry.name.indexOf(path) === -1 || entry.name.indexOf(BESIDE) !== -1) { return; }
        told.count += 1;
        told.bytes = entry.encodedBodySize === undefined || told.bytes === null ? null : told.bytes + entry.encodedBodySize;
        if (entry.responseStatus >= 400) { told.status = entry.responseStatus; }
      });
    });
    return told;
  };

  // This window's, and those of the frames in which iframe transports make their requests.
  function timelines() {
    var windows = [global];
    Array.prototype.forEach.call(document.querySelectorAll('iframe'), function (frame) {
      windows.push(frame.contentWindow);
    });
    return windows.map(function (one) {
      try {
        return one.performance;
      } catch (foreign) {
        return null;
      }
    }).filter(function (timeline) { return timeline && typeof timeline.getEntriesByType === 'function'; });
  }

  Compare.tellsRequests = function () { return timelines().length > 0; };

  // -- Small things ----------------------------------------------------------

  Compare.clock = function () {
    return global.performance && performance.now ? performance.now() : new Date().getTime();
  };

  // The time (ms), from the network's round trip, after which a message counts as held back.
  Compare.patience = function (way) {
    return Math.max(4000, 10 * way.roundTrip);
  };

  // The middle one, or the mean of the two in the middle; null of none.
  Compare.median = function (numbers) {
    var sorted = numbers.slice().sort(function (one, other) { return one - other; });
    var half = sorted.length >> 1;
    if (sorted.length === 0) { return null; }
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  };

  function name(length) {
    var text = '';
    while (text.length < length) { text += 'abcdefghijklmnopqrstuvwxyz'.charAt(Math.random() * 26); }
    return text;
  }

  function digits(length) {
    var text = '';
    while (text.length < length) { text += Math.floor(Math.random() * 10); }
    return text;
  }

  Compare.Scope = Scope;
  Compare.Link = Link;
}(window));
