/*
 * The index page: the table of endpoints, and a message sent down each transport.
 * ES5, like every script here; text reaches the page as text nodes only.
 */
(function () {
  'use strict';

  var PATIENCE = 10000; // ms that a single transport gets to open
  var GIVE_UP = 20000; // ms for the whole trip

  var echoPrefix = '';
  var trips = document.getElementById('trips-body');
  var transports = document.getElementById('echo-transport');
  var button = document.getElementById('echo-send');

  // -- Endpoints ------------------------------------------------------------

  function loadEndpoints() {
    var request = new XMLHttpRequest();
    request.open('GET', '/endpoints.json');
    request.onreadystatechange = function () {
      var endpoints;
      if (request.readyState !== 4) { return; }
      try {
        endpoints = JSON.parse(request.responseText);
      } catch (broken) {
        endpoints = null;
      }
      if (request.status !== 200 || !endpoints) {
        showPlain('The list could not be read (' + (request.status ? 'status ' + request.status : 'no answer') + '). Reload the page to try again.');
        return;
      }
      showEndpoints(endpoints);
    };
    request.send();
  }

  function showEndpoints(endpoints) {
    var body = document.getElementById('endpoints');
    body.textContent = '';
    endpoints.forEach(function (endpoint) {
      var row = make('tr');
      var prefix = make('th', '', endpoint.prefix);
      prefix.scope = 'row';
      row.appendChild(prefix);
      row.appendChild(make('td', '', endpoint.app));
      row.appendChild(make('td', 'does', endpoint.about));
      body.appendChild(row);
      if (endpoint.app === 'echo' && !echoPrefix) { echoPrefix = endpoint.prefix; }
      showLinks(endpoint.app);
    });
    if (endpoints.length === 0) { showPlain('None. Start the server with --endpoint /echo=echo to have one.'); }
  }

  // A page that needs an application is offered where that is served.
  function showLinks(app) {
    Array.prototype.forEach.call(document.querySelectorAll('[data-needs]'), function (link) {
      if (link.getAttribute('data-needs') === app) { link.hidden = false; }
    });
  }

  function showPlain(text) {
    var body = document.getElementById('endpoints');
    var row = make('tr');
    var cell = make('td', 'plain', text);
    cell.colSpan = 3;
    row.appendChild(cell);
    body.textContent = '';
    body.appendChild(row);
  }

  // -- Echo -----------------------------------------------------------------

  function onSend(event) {
    var text = document.getElementById('echo-text').value;
    var chosen = transports.value === '*' ? everyTransport() : [transports.value];
    event.preventDefault();
    if (typeof SockJS !== 'function') {
      showTrouble('The SockJS client library did not load. If this is your server: run "npm ci" in its static/ ' +
        'directory and build it again, or let this browser reach cdn.jsdelivr.net.');
      return;
    }
    if (!echoPrefix) {
      showTrouble('This server has no echo endpoint. Start it with --endpoint /echo=echo.');
      return;
    }
    showTrouble('');
    document.getElementById('trips').hidden = false;
    trips.textContent = '';
    button.disabled = true;
    inTurn(chosen.map(function (transport) { return { transport: transport, row: addRow(transport) }; }), text);
  }

  // One after another, so that they do not slow each other down.
  function inTurn(rest, text) {
    var next = rest.shift();
    if (!next) {
      button.disabled = false;
      return;
    }
    next.row.cells[1].textContent = 'on its way…';
    trip(next.transport, text, function (result) {
      showResult(next.row, result);
      inTurn(rest, text);
    });
  }

  // Calls done once, with {transport, connect, roundTrip} or {trouble}.
  function trip(transport, text, done) {
    var started = clock();
    var opened = 0;
    var over = false;
    var sock = new SockJS(echoPrefix, null, transport ? { transports: transport, timeout: PATIENCE } : {});
    var timer = setTimeout(function () { end({ trouble: 'no answer in ' + GIVE_UP / 1000 + ' s' }); }, GIVE_UP);
    function end(result) {
      if (over) { return; }
      over = true;
      clearTimeout(timer);
      sock.close();
      done(result);
    }
    sock.onopen = function () {
      opened = clock();
      sock.send(text);
    };
    sock.onmessage = function (event) {
      if (event.data === text) {
        end({ transport: sock.transport, connect: opened - started, roundTrip: clock() - opened });
      } else {
        end({ trouble: 'came back changed' });
      }
    };
    sock.onclose = function (event) {
      end({ trouble: event.code === 2000 ? 'did not get through' : event.reason || 'broke off (' + event.code + ')' });
    };
  }

  function everyTransport() {
    return Array.prototype.map.call(transports.options, function (option) { return option.value; })
      .filter(function (value) { return value !== '*' && value !== ''; });
  }

  function addRow(transport) {
    var row = make('tr', 'pending');
    var name = make('th', '', transport || 'automatic');
    name.scope = 'row';
    row.appendChild(name);
    row.appendChild(make('td', '', 'waits'));
    row.appendChild(make('td', 'number'));
    row.appendChild(make('td', 'number'));
    trips.appendChild(row);
    return row;
  }

  function showResult(row, result) {
    row.className = '';
    row.cells[1].className = result.trouble ? 'bad' : 'good';
    row.cells[1].textContent = result.trouble || 'arrived';
    if (result.trouble) { return; }
    row.cells[0].textContent = result.transport;
    row.cells[2].textContent = milliseconds(result.connect);
    row.cells[3].textContent = milliseconds(result.roundTrip);
  }

  function showTrouble(text) {
    document.getElementById('echo-error').textContent = text;
  }

  function milliseconds(time) {
    return (time < 10 ? time.toFixed(1) : Math.round(time)) + ' ms';
  }

  function clock() {
    return window.performance && performance.now ? performance.now() : new Date().getTime();
  }

  function make(tag, className, text) {
    var element = document.createElement(tag);
    if (className) { element.className = className; }
    if (text !== undefined) { element.textContent = text; }
    return element;
  }

  // -- Start ----------------------------------------------------------------

  function showBase(className, base) {
    Array.prototype.forEach.call(document.querySelectorAll('.' + className), function (element) {
      element.textContent = base;
    });
  }

  showBase('http-base', location.protocol + '//' + location.host);
  showBase('ws-base', location.protocol.replace('http', 'ws') + '//' + location.host);
  document.getElementById('echo').addEventListener('submit', onSend);
  loadEndpoints();
}());
