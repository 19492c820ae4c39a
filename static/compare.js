/*
 * The page /compare: runs the measurements one after another and shows their results. ES5, like all
 * it loads; text reaches the page as text nodes only.
 *
 * In the query: idle, the seconds of silence to survive (30); endpoint, the prefix
 * of an echo endpoint (the server's first); transports, names with commas (all).
 */
(function () {
  'use strict';

  var Compare = window.Compare;

  var IDLE = 30; // s
  var LONGEST_IDLE = 600;
  var INFO_TRIES = 5;
  var INFO_PATIENCE = 10000; // ms
  // HTTP receivers that wait in silence side by side. Browsers have six connections for a host, and
  // sending needs some.
  var SIDE_BY_SIDE = 4;
  var ACTIVE_COST = 4; // seconds that measuring one transport takes, about; for the estimate and the progress bar
  // Those in frames last: they make the requests of the others once more, from inside a frame.
  var TRANSPORTS = [
    'websocket', 'xhr-streaming', 'eventsource', 'htmlfile', 'xhr-polling', 'jsonp-polling',
    'iframe-eventsource', 'iframe-htmlfile', 'iframe-xhr-polling'
  ];

  var asked = query();
  var idleSeconds = Math.min(LONGEST_IDLE, Math.max(1, Number(asked.idle) || IDLE));
  var transports = asked.transports ? TRANSPORTS.filter(function (name) {
    return asked.transports.split(',').indexOf(name) !== -1;
  }) : TRANSPORTS;

  var rows = {};
  var run = null; // the one that is under way
  var report = null; // of the last one

  // -- A run -----------------------------------------------------------------------

  function start() {
    if (typeof SockJS !== 'function') {
      showTrouble('The SockJS client library did not load. If this is your server: run "npm ci" in its static/ ' +
        'directory and build it again, or let this browser reach cdn.jsdelivr.net.');
      return;
    }
    if (run) { stop(); }
    run = {
      scope: new Compare.Scope(), part: null, way: null, startedAt: Compare.clock(), started: new Date(), wasHidden: document.hidden === true,
      results: transports.map(Compare.blank), cost: cost(), spent: 0, partAt: Compare.clock(), partCost: 0
    };
    clear();
    show('running', 'Measuring…');
    tick();
    findEndpoint();
  }

  // Where to: the endpoint that was asked for, or the first that echoes.
  function findEndpoint() {
    if (asked.endpoint) {
      readInfo(asked.endpoint, []);
      return;
    }
    run.scope.ask('GET', '/endpoints.json', null, INFO_PATIENCE, function (answer) {
      var echo = list(answer.text).filter(function (endpoint) { return endpoint.app === 'echo'; })[0];
      if (echo) {
        readInfo(echo.prefix, []);
      } else {
        giveUp(answer.status === 200 ? 'This server has no echo endpoint. Start it with --endpoint /echo=echo.' :
          'The list of endpoints could not be read (' + told(answer.status) + '). Reload the page to try again.');
      }
    });
  }

  // Info first: without it no transport is tried by any client. Its round trip is the measure for
  // all patience.
  function readInfo(endpoint, trips) {
    doing('info');
    run.scope.ask('GET', endpoint + '/info?t=' + new Date().getTime(), null, INFO_PATIENCE, function (answer) {
      var info = object(answer.text);
      if (answer.status !== 200 || !info) {
        giveUp('Info, the first request of every SockJS client, got ' + told(answer.status) + ' at ' + endpoint +
          '/info. Nothing can connect before that works: look whether a proxy leaves this path out, and whether the endpoint exists.');
        return;
      }
      trips.push(answer.ms);
      if (trips.length < INFO_TRIES) {
        readInfo(endpoint, trips);
        return;
      }
      run.way = { endpoint: endpoint, roundTrip: Compare.median(trips), websocket: info.websocket !== false };
      measureNext(0);
    });
  }

  // One after another, so that they do not slow each other down.
  function measureNext(index) {
    if (index === transports.length) {
      idleNext(rounds(run.results.filter(worked).map(function (result) { return result.transport; })));
      return;
    }
    begin(ACTIVE_COST);
    say('Measuring ' + transports[index] + ', ' + (index + 1) + ' of ' + transports.length + '.');
    run.part = Compare.measure(transports[index], run.way, function (result, what) {
      run.results[index] = result;
      doing(what);
      showRow(result, what);
    }, function (result) {
      run.results[index] = result;
      showRow(result);
      showPictures();
      showCulprits();
      measureNext(index + 1);
    });
  }

  function idleNext(rest) {
    var round = rest.shift();
    if (!round) {
      finish('done');
      return;
    }
    begin(idleSeconds);
    say('Waiting in silence over ' + round.join(', ') + '.');
    run.part = Compare.idle(round, run.way, idleSeconds, function (left) {
      doing(left > 0 ? left + ' s of silence left' : 'sends again');
    }, function (idles) {
      run.results.forEach(function (result) {
        if (idles[result.transport]) { result.idle = idles[result.transport]; }
        showRow(result);
      });
      showCulprits();
      idleNext(rest);
    });
  }

  function rounds(names) {
    var made = [];
    names.forEach(function (name) {
      var last = made[made.length - 1];
      if (!last || name !== 'websocket' && last.filter(isHttp).length === SIDE_BY_SIDE) {
        last = [];
        made.push(last);
      }
      last.push(name);
    });
    return made;
  }

  function isHttp(name) { return name !== 'websocket'; }

  function worked(result) { return !result.failure; }

  function stop() {
    finish('stopped');
  }

  function giveUp(trouble) {
    finish('failed');
    showTrouble(trouble);
  }

  function finish(how) {
    var over = run;
    over.scope.end();
    if (over.part) { over.part.end(); }
    run = null;
    report = Compare.report(over, how, idleSeconds);
    show(how, { done: 'Done. ' + (report.recommendation ? report.recommendation.headline + '.' : ''), stopped: 'Stopped; the measurements until then are below.', failed: 'Could not start.' }[how]);
    doing('');
    report.results.forEach(function (result) { showRow(result); });
    if (how !== 'failed') { showAdvice(); }
  }

  // -- The page ------------------------------------------------------------------------

  function show(state, text) {
    byId('state').setAttribute('data-state', state);
    byId('start').hidden = state === 'running';
    byId('start').textContent = 'Start again';
    byId('stop').hidden = state !== 'running';
    byId('progress').hidden = state !== 'running';
    say(text);
    if (state === 'running') { byId('stop').focus(); } else if (document.activeElement === document.body) { byId('start').focus(); }
  }

  function clear() {
    showTrouble('');
    ['advice', 'culprits', 'trips', 'streams', 'notes'].forEach(function (id) { byId(id).hidden = true; });
    run.results.forEach(function (result) { showRow(result); });
  }

  // Announced to screen readers, so only rare changes; `doing` is for the eyes.
  function say(text) { byId('state').textContent = text; }

  function doing(text) { byId('doing').textContent = text; }

  function tick() {
    var now = Compare.clock();
    var seconds;
    if (!run) { return; }
    seconds = Math.floor((now - run.startedAt) / 1000);
    byId('elapsed').textContent = Math.floor(seconds / 60) + ':' + (seconds % 60 < 10 ? '0' : '') + seconds % 60;
    byId('progress').max = run.cost;
    byId('progress').value = run.spent + Math.min((now - run.partAt) / 1000, run.partCost);
    run.scope.after(500, tick);
  }

  // The part that begins now takes about so many seconds; those before it are over.
  function begin(seconds) {
    run.spent += run.partCost;
    run.partAt = Compare.clock();
    run.partCost = seconds;
  }

  function showRow(result, what) {
    var row = rows[result.transport] || (rows[result.transport] = addRow(result.transport));
    var cells = Compare.cells(result);
    var judged = Compare.judge(result);
    var why = row.nextSibling;
    row.className = what ? 'now' : judged.verdict;
    put(row, 1, what || (run ? cells.verdict : cells.verdict.replace('waits', 'not tried')));
    put(row, 2, cells.opened);
    put(row, 3, cells.trip, cells.range);
    put(row, 4, cells.stream);
    put(row, 5, cells.idle);
    put(row, 6, cells.largest, cells.larger);
    put(row, 7, cells.requests);
    put(row, 8, cells.bytes);
    why.hidden = Boolean(what) || judged.causes.length === 0;
    why.firstChild.textContent = judged.causes.map(function (cause) {
      // Only a failure needs its cause on the spot; limits stand with theirs above.
      return Compare.evidence(result, cause) + (result.failure ? ' ' + Compare.CAUSES[cause].usual : '');
    }).join(' ');
    showNotes();
  }

  var HEADS = ['Transport', 'Result', 'Opens', 'Round trip', 'Stream', 'Idle', 'Largest', 'Requests', 'Bytes'];

  function addRow(transport) {
    var row = make('tr');
    var why = make('tr', 'why');
    var cell = make('td');
    var name = make('th', '', transport);
    name.scope = 'row';
    row.appendChild(name);
    HEADS.slice(1).forEach(function (head, index) {
      var made = make('td', index === 0 ? 'verdict' : /^(Stream|Idle)$/.test(head) ? '' : 'number');
      made.setAttribute('data-head', head === 'Idle' ? 'Idle ' + idleSeconds + ' s' : head);
      row.appendChild(made);
    });
    row.setAttribute('data-transport', transport);
    why.setAttribute('data-why', transport);
    cell.colSpan = HEADS.length;
    why.appendChild(cell);
    why.hidden = true;
    byId('results').appendChild(row);
    byId('results').appendChild(why);
    return row;
  }

  function put(row, index, text, more) {
    var cell = row.cells[index];
    cell.textContent = text;
    if (more) {
      cell.appendChild(document.createTextNode(' '));
      cell.appendChild(make('small', '', more));
    }
    cell.classList[text === '–' ? 'add' : 'remove']('none');
  }

  function showNotes() {
    var told = [];
    var notes = byId('notes');
    (run ? run.results : report.results).forEach(function (result) {
      (result.traffic ? result.traffic.notes : []).forEach(function (note) {
        if (told.indexOf(note) === -1) { told.push(note); }
      });
    });
    if (told.length === notes.childNodes.length) { return; }
    notes.textContent = '';
    told.forEach(function (note) { notes.appendChild(make('li', '', Compare.NOTES[note])); });
    notes.hidden = told.length === 0;
  }

  function showPictures() {
    var results = (run || report).results;
    draw('trips', Compare.pictureTrips, results);
    draw('streams', Compare.pictureStreams, results);
  }

  function draw(id, picture, results) {
    var place = byId(id + '-picture');
    var style;
    var made;
    byId(id).hidden = false;
    style = window.getComputedStyle(place);
    made = picture(results, place.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
    byId(id).hidden = !made;
    place.textContent = '';
    if (made) { place.appendChild(made); }
  }

  function showCulprits() {
    var culprits = Compare.culprits((run || report).results);
    var place = byId('culprits-list');
    place.textContent = '';
    culprits.forEach(function (culprit) {
      var cause = Compare.CAUSES[culprit.cause];
      var card = make('article', 'panel culprit');
      card.setAttribute('data-cause', culprit.cause);
      card.appendChild(make('h3', '', cause.title));
      card.appendChild(make('p', 'mono over', culprit.transports.join(', ')));
      card.appendChild(make('p', '', culprit.evidence));
      card.appendChild(make('p', '', cause.usual));
      card.appendChild(make('p', 'mend', cause.mend));
      if (cause.code) { card.appendChild(make('pre', 'code', cause.code)); }
      place.appendChild(card);
    });
    byId('culprits').hidden = culprits.length === 0;
  }

  function showAdvice() {
    var advice = report.recommendation;
    var reasons = byId('reasons');
    showCulprits();
    showPictures();
    if (!advice) { return; }
    byId('headline').textContent = advice.headline;
    byId('advice').className = 'panel advice' + (advice.transport ? '' : ' none');
    reasons.textContent = '';
    advice.reasons.concat(report.wasHidden ? ['This page was in the background for a while, where browsers slow it down: the figures may be too high.'] : [])
      .forEach(function (reason) { reasons.appendChild(make('li', '', reason)); });
    byId('code').hidden = !advice.transports;
    byId('code').firstChild.textContent = advice.transports ? "new SockJS('" + report.endpoint + "', null, {\n  transports: ['" +
      advice.transports.join("', '") + "']\n});" : '';
    byId('advice').hidden = false;
    byId('copied').textContent = '';
    Compare.offer(report, byId('download'));
  }

  // -- Small things --------------------------------------------------------------------

  function query() {
    var found = {};
    location.search.slice(1).split('&').forEach(function (pair) {
      var at = pair.indexOf('=');
      try {
        if (at > 0) { found[pair.slice(0, at)] = decodeURIComponent(pair.slice(at + 1)); }
      } catch (broken) {
        // Not a value that this page would take.
      }
    });
    return found;
  }

  function object(text) {
    var value;
    try {
      value = JSON.parse(text);
    } catch (broken) {
      return null;
    }
    return value !== null && typeof value === 'object' ? value : null;
  }

  function list(text) {
    var value = object(text);
    return Array.isArray(value) ? value : [];
  }

  function told(status) {
    return status ? 'status ' + status : 'no answer';
  }

  function showTrouble(text) {
    byId('error').textContent = text;
  }

  function byId(id) {
    return document.getElementById(id);
  }

  function make(tag, className, text) {
    var element = document.createElement(tag);
    if (className) { element.className = className; }
    if (text !== undefined) { element.textContent = text; }
    return element;
  }

  // -- Start ---------------------------------------------------------------------------

  // Seconds that a run takes where nothing is in the way, about.
  function cost() {
    return transports.length * ACTIVE_COST + rounds(transports).length * idleSeconds;
  }

  function estimate() {
    var seconds = cost();
    return seconds < 75 ? 'about ' + Math.ceil(seconds / 10) * 10 + ' seconds' : 'about ' + Math.round(seconds / 60) + ' minutes';
  }

  byId('estimate').textContent = estimate();
  byId('idle-head').textContent = 'Idle ' + idleSeconds + ' s';
  report = { results: transports.map(Compare.blank) };
  report.results.forEach(function (result) { showRow(result); });
  byId('start').addEventListener('click', start);
  byId('stop').addEventListener('click', stop);
  byId('copy').addEventListener('click', function () {
    Compare.copy(report, function (done) {
      byId('copied').textContent = done ? 'Copied.' : 'The browser does not let this page copy; download the JSON.';
      byId('copy').focus();
    });
  });
  window.addEventListener('resize', function () {
    if (!byId('trips').hidden || !byId('streams').hidden) { showPictures(); }
  });
  document.addEventListener('visibilitychange', function () {
    if (run && document.hidden) { run.wasHidden = true; }
  });
}());
