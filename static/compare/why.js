/*
 * Why a transport did not open: browsers do not tell scripts, so the same is
 * asked for in other ways. ES5.
 *
 *   Compare.why(run, {closed, status});    // ends the run with its failure
 */
(function (global) {
  'use strict';

  var Compare = global.Compare;

  Compare.why = function (run, more) {
    var violation = Compare.violations.filter(function (one) { return one.at >= run.startedAt; })[0];
    more.status = run.link.requests().status;
    if (violation) {
      run.fail('open', 'policy', { directive: violation.directive, blocked: violation.blocked });
    } else if (run.transport === 'websocket') {
      explainWebSocket(run, more);
    } else if (/^iframe-/.test(run.transport)) {
      explainFrame(run, more);
    } else {
      run.fail('open', more.status === 404 ? 'off' : 'requests', more);
    }
  };

  // No script is told why a WebSocket did not open. A plain request to its path tells whether HTTP
  // gets there.
  function explainWebSocket(run, more) {
    probeRaw(run, function (opens) {
      if (opens) {
        run.fail('first frame', 'frames of websocket', more);
        return;
      }
      run.scope.ask('GET', run.link.url + 'websocket', null, run.patience, function (answer) {
        more.status = answer.status;
        run.fail('open', answer.status === 0 ? 'requests' : answer.status === 404 ? 'off' : 'upgrade', more);
      });
    });
  }

  // Whether a WebSocket without SockJS's frames opens.
  function probeRaw(run, done) {
    var base = location.protocol.replace('http', 'ws') + '//' + location.host + run.way.endpoint;
    var socket;
    var over = false;
    function end(opens) {
      if (over) { return; }
      over = true;
      if (socket) { socket.close(); }
      done(opens);
    }
    try {
      socket = new WebSocket(base + '/websocket');
    } catch (refused) {
      end(false);
      return;
    }
    socket.onopen = function () { end(true); };
    socket.onclose = function () { end(false); };
    run.scope.after(run.patience, function () { end(false); });
    run.scope.onEnd(function () {
      over = true;
      socket.close();
    });
  }

  function explainFrame(run, more) {
    var frame = document.createElement('iframe');
    var over = false;
    function look() {
      var inside;
      if (over) { return; }
      over = true;
      try {
        inside = frame.contentDocument && frame.contentWindow.location.href !== 'about:blank' ? frame.contentWindow : null;
      } catch (foreign) {
        inside = null; // the browser's page in place of a blocked page has another origin
      }
      if (!inside) {
        run.fail('frame', 'frames', more);
      } else if (!inside.SockJS) {
        run.fail('frame', 'script in frame', more);
      } else if (inside.SockJS.version !== global.SockJS.version) {
        run.fail('frame', 'versions', more);
      } else {
        run.fail('open', 'requests', more);
      }
    }
    frame.hidden = true;
    frame.title = 'A test of frames';
    frame.onload = look;
    frame.src = run.way.endpoint + '/iframe.html';
    document.body.appendChild(frame);
    run.scope.onEnd(function () { document.body.removeChild(frame); });
    run.scope.after(run.patience, look);
  }

  // Violations of this page's content-security policy.
  Compare.violations = [];
  document.addEventListener('securitypolicyviolation', function (event) {
    Compare.violations.push({
      directive: event.effectiveDirective || event.violatedDirective, blocked: event.blockedURI, at: Compare.clock()
    });
  });
}(window));
