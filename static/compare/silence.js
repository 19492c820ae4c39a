/*
 * Whether sessions survive silence, several side by side. ES5.
 *
 *   var scope = Compare.idle(transports, way, seconds, function tell(left) {}, function done(idles) {});
 *
 * Opens a session over each, waits, and sends one message over each. `left` is in
 * seconds; `idles` are by transport: {seconds, survived, after, how, heartbeats},
 * `how` being null or one of
 *   closed      broke off, `after` so many seconds
 *   silent      open on both sides, and nothing arrives
 *   unopened    did not open again
 */
(function (global) {
  'use strict';

  var Compare = global.Compare;

  var OPEN_PATIENCE = 12000; // ms to open
  var LOOK = 250; // ms between two checks

  Compare.idle = function (transports, way, seconds, tell, done) {
    var scope = new Compare.Scope();
    var idles = {};
    var patience = 2 * Compare.patience(way);
    var links = transports.map(function (transport) { return idleLink(scope, transport, way, idles, seconds); });
    var started = Compare.clock();
    var silentSince = 0;
    function watch() {
      var ready = links.every(function (link) { return link.isOpen || link.closed; });
      if (!silentSince && (ready || Compare.clock() - started > OPEN_PATIENCE)) { silentSince = Compare.clock(); }
      if (silentSince && Compare.clock() - silentSince >= seconds * 1000) {
        wake();
        return;
      }
      tell(silentSince ? Math.ceil(seconds - (Compare.clock() - silentSince) / 1000) : seconds);
      scope.after(LOOK, watch);
    }
    function wake() {
      var waiting = links.length;
      tell(0);
      links.forEach(function (link, index) {
        var idle = idles[transports[index]];
        link.expect('awake', patience, function (answer) {
          idle.survived = Boolean(answer.text);
          idle.heartbeats = link.heartbeats;
          if (answer.late) { idle.how = link.isOpen ? 'silent' : 'unopened'; }
          waiting -= 1;
          if (waiting === 0) {
            scope.end();
            done(idles);
          }
        });
        link.send('awake');
      });
    }
    watch();
    return scope;
  };

  function idleLink(scope, transport, way, idles, seconds) {
    var link = new Compare.Link(scope, transport, way.endpoint);
    var idle = { seconds: seconds, survived: false, after: null, how: null, heartbeats: 0 };
    var opened = 0;
    idles[transport] = idle;
    link.onopen = function () { opened = Compare.clock(); };
    link.onclose = function () {
      idle.how = opened ? 'closed' : 'unopened';
      idle.after = opened ? Math.round((Compare.clock() - opened) / 1000) : null;
    };
    return link;
  }
}(window));
