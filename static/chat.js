/*
 * The chat page: the server's messages go into the log and the roster; the user's messages go
 * through the outbox, and leave it only when they have come back from the server. Until then they
 * are sent again with each new connection, under the same id, by which the server and all pages
 * know them. ES5, and text reaches the page as text nodes only.
 */
(function () {
  'use strict';

  var ENDPOINT = '/ws';
  var DEFAULT_ROOM = 'lobby';
  var MESSAGE_LIMIT = 4000; // characters; the default of the server, which has the last word
  var LOG_LIMIT = 500; // lines
  var OUTBOX_LIMIT = 50; // messages
  // jsonp-polling never learns that a request failed, so an answer that stays out
  // (ms) is the only sign that joining did not work.
  var ANSWER_PATIENCE = 10000;
  // A message that is answered within this time (ms) never shows as pending.
  var SWIFT = 400;

  var STATES = {
    connecting: 'Connecting…',
    open: 'Connected',
    waiting: 'Not connected',
    unavailable: 'Cannot connect'
  };

  var page = {};
  ['link', 'state', 'via', 'transport', 'countdown', 'reconnect', 'who', 'name', 'room', 'transport-select', 'error',
    'log', 'outbox', 'composer', 'message', 'count', 'people', 'roster', 'roster-count'].forEach(function (id) {
    page[id] = document.getElementById(id);
  });

  var wanted = { name: recall('name'), room: fromQuery('room') || DEFAULT_ROOM };
  var me = { name: '', room: '' }; // in force, as the server said last
  // Takes our name back from a connection that was lost, which the server may hold for long.
  var key = randomText();
  var joined = false; // has this connection been welcomed?
  var asked = []; // requests of this connection that have no answer yet, in order
  // {id, text, room, fate, why, since}; room: where it was sent to; fate: queued, sent, elsewhere
  // (sent to another room), refused
  var outbox = [];
  var answerTimer = null;
  var seen = { keys: {}, order: [] }; // messages in the log, to merge a history into it
  var atEnd = true; // does the reader follow the log?
  var last = null; // author and time of the last entry of the log

  var connection = new Connection(ENDPOINT, { state: onState, message: onMessage, countdown: onCountdown }, {
    probe: function (id) { return JSON.stringify({ ping: id }); }
  });

  // -- Joining ----------------------------------------------------------

  function onState(state, trouble) {
    page.link.className = 'link ' + state;
    page.state.setAttribute('data-state', state);
    page.state.textContent = STATES[state];
    page.transport.textContent = connection.transport;
    page.via.hidden = state !== 'open';
    page.countdown.textContent = '';
    page.reconnect.hidden = state !== 'waiting';
    clearTimeout(answerTimer);
    if (state === 'open') {
      showTrouble('');
      join(0);
      return;
    }
    joined = false;
    asked = [];
    outbox.forEach(function (item) {
      if (item.fate === 'sent') { item.fate = 'queued'; }
    });
    showOutbox();
    page.people.className = 'people stale';
    if (trouble) { showTrouble(trouble); }
  }

  function onCountdown(seconds) {
    page.countdown.textContent = 'retry in ' + seconds + ' s';
  }

  // Step 0 asks for the name and the room, step 1 gives up the name, step 2 the room: a user whose
  // name is taken can still read and talk, as a guest.
  function join(step) {
    var request = { room: step < 2 ? wanted.room : DEFAULT_ROOM, roster: true };
    if (step === 0 && wanted.name) {
      request.name = wanted.name;
      request.key = key;
    }
    if (!connection.send(JSON.stringify(request))) { return; }
    asked.push({ step: step, request: request });
    clearTimeout(answerTimer);
    answerTimer = setTimeout(function () {
      if (window.console) { console.warn('sockeye: no answer to', request); }
      connection.giveUp('The server did not answer the request to join the room.');
    }, ANSWER_PATIENCE);
  }

  function joinRefused(entry) {
    if (entry.request.name !== undefined) { mark(page.name, entry.request.name !== me.name); }
    if (!joined && entry.step < 2) { join(entry.step + 1); }
  }

  // Name and room as typed; applied now, or by the next connection.
  function onWho(event) {
    var request = {};
    event.preventDefault();
    wanted.name = page.name.value.trim();
    wanted.room = page.room.value.trim() || DEFAULT_ROOM;
    remember();
    mark(page.name, false);
    mark(page.room, false);
    if (!connection.isOpen()) { return; }
    showTrouble('');
    if (!joined) {
      join(0);
      return;
    }
    if (wanted.name && wanted.name !== me.name) {
      request.name = wanted.name;
      request.key = key;
    }
    if (wanted.room !== me.room) { request.room = wanted.room; }
    if (request.name === undefined && request.room === undefined) {
      showWho();
    } else if (connection.send(JSON.stringify(request))) {
      asked.push({ step: 2, request: request });
    }
  }

  // -- The server's messages ---------------------------------------------

  function onMessage(text) {
    var said;
    try {
      said = JSON.parse(text);
    } catch (broken) {
      said = null;
    }
    if (!said || typeof said.name !== 'string' || typeof said.message !== 'string') {
      showTrouble('There is no chat at ' + ENDPOINT + ' on this server. ' +
        'If it is yours, start it with --endpoint ' + ENDPOINT + '=chat.');
      return;
    }
    switch (said.type) {
      case 'welcome': onWelcome(said); break;
      case 'roster': showRoster(said.names || [], said.count); break;
      case 'error': onError(said); break;
      case 'pong': connection.answered(said.ping); break;
      case 'join': case 'leave': case 'rename': addNotice(said.message); break;
      default: onSaid(said);
    }
  }

  function onWelcome(welcome) {
    var moved = welcome.room !== me.room;
    var entry = asked.length && asked[0].request ? asked.shift() : null;
    if (entry && entry.step === 0) { showTrouble(''); } // all that was wanted is in force
    me.name = welcome.you;
    me.room = welcome.room;
    if (wanted.name === me.name) { mark(page.name, false); }
    showWho();
    showHistory(welcome.history || [], moved);
    if (moved) {
      addNotice('You are ' + me.name + ' in ' + me.room + '.' + (seen.order.length ? '' : ' There are no messages here yet.'));
    }
    joined = true;
    clearTimeout(answerTimer);
    outbox.forEach(function (item) {
      if (item.fate !== 'queued') { return; }
      if (item.room && item.room !== me.room) {
        item.fate = 'elsewhere';
      } else {
        say(item);
      }
    });
    showOutbox();
  }

  function onError(error) {
    var entry = asked.shift();
    clearTimeout(answerTimer);
    showTrouble(sentence(error.message));
    if (entry && entry.item) {
      entry.item.fate = 'refused';
      entry.item.why = sentence(error.message);
      showOutbox();
    } else if (entry) {
      joinRefused(entry);
    }
  }

  function onSaid(said) {
    // A repeated message comes again, to this page alone.
    if (!said.id || !seen.keys[keyOf(said)]) { addMessage(said); }
    settle(said);
  }

  // A message that has come back is delivered.
  function settle(said) {
    if (!said.id) { return; }
    asked = asked.filter(function (entry) { return !entry.item || entry.item.id !== said.id; });
    outbox.forEach(function (item) {
      if (item.id === said.id) { discard(item); }
    });
  }

  // After a reconnect the history overlaps with the log.
  function showHistory(history, moved) {
    var known = !moved && seen.order.length > 0;
    var overlap = false;
    if (moved) {
      page.log.textContent = '';
      seen = { keys: {}, order: [] };
      last = null;
    }
    history.forEach(function (said) { overlap = overlap || seen.keys[keyOf(said)] === true; });
    if (known && history.length > 0 && !overlap) {
      addNotice('Messages from while you were away may be missing here.');
    }
    history.forEach(function (said) {
      if (seen.keys[keyOf(said)] === true) { return; }
      addMessage(said);
      settle(said);
    });
  }

  // -- The user's messages ------------------------------------------------

  function onCompose(event) {
    var text = page.message.value;
    var item;
    event.preventDefault();
    if (text.trim() === '') { return; }
    if (lengthOf(text) > MESSAGE_LIMIT) {
      showTrouble('The message is too long: ' + lengthOf(text) + ' characters, and ' + MESSAGE_LIMIT +
        ' are allowed. Shorten it or send it in parts; it is still in the field.');
      return;
    }
    if (outbox.length >= OUTBOX_LIMIT) {
      showTrouble(OUTBOX_LIMIT + ' messages are waiting already. Send or discard some first; this one is still in the field.');
      return;
    }
    if (connection.isOpen()) { showTrouble(''); }
    item = { id: randomText(), text: text, room: '', fate: 'queued', why: '', since: 0 };
    outbox.push(item);
    page.message.value = '';
    fitComposer();
    if (joined) { say(item); }
    showOutbox();
  }

  function say(item) {
    if (!connection.send(JSON.stringify({ message: item.text, id: item.id }))) { return; }
    item.fate = 'sent';
    item.room = me.room;
    item.since = item.since || now();
    asked.push({ item: item });
    setTimeout(showOutbox, SWIFT + 10);
  }

  function discard(item) {
    outbox = outbox.filter(function (other) { return other !== item; });
    showOutbox();
  }

  function showOutbox() {
    page.outbox.textContent = '';
    outbox.forEach(function (item) {
      if (item.fate !== 'sent' || now() - item.since > SWIFT) { page.outbox.appendChild(held(item)); }
    });
    page.outbox.scrollTop = page.outbox.scrollHeight;
    follow();
  }

  function held(item) {
    var row = make('li', 'held ' + item.fate);
    var fate = make('div', 'fate');
    row.appendChild(make('div', 'text', item.text)).setAttribute('dir', 'auto');
    row.appendChild(fate);
    if (item.fate === 'sent') {
      fate.appendChild(make('span', '', 'Sending…'));
    } else if (item.fate === 'queued') {
      fate.appendChild(make('span', '', 'Will be sent when connected'));
      fate.appendChild(action('Discard', function () { discard(item); }));
    } else {
      fate.appendChild(make('span', '', item.fate === 'refused' ? item.why
        : 'You sent this in the room “' + item.room + '”, where it may not have arrived.'));
      if (item.fate === 'elsewhere') {
        fate.appendChild(action('Send here', function () {
          item.fate = 'queued';
          item.room = '';
          if (joined) { say(item); }
          showOutbox();
        }));
      }
      fate.appendChild(action('Edit', function () {
        page.message.value = item.text + (page.message.value ? '\n' + page.message.value : '');
        discard(item);
        fitComposer();
        page.message.focus();
      }));
      fate.appendChild(action('Discard', function () { discard(item); }));
    }
    return row;
  }

  // -- The page ------------------------------------------------------------

  function addMessage(said) {
    var mine = said.name === me.name;
    var at = typeof said.at === 'number' ? said.at : now();
    var follows = last !== null && last.name === said.name && at - last.at < 120000;
    var entry = make('div', 'entry' + (mine ? ' mine' : '') + (follows ? ' follows' : ''));
    var meta = entry.appendChild(make('div', 'meta'));
    var words;
    meta.appendChild(make('span', 'name ' + toneOf(said.name), said.name)).setAttribute('dir', 'auto');
    meta.appendChild(make('time', '', clock(at))).setAttribute('datetime', new Date(at).toISOString());
    words = entry.appendChild(make('div', 'text'));
    words.setAttribute('dir', 'auto');
    words.appendChild(withAddresses(said.message));
    append(entry);
    last = { name: said.name, at: at };
    seen.keys[keyOf(said)] = true;
    seen.order.push(keyOf(said));
    if (seen.order.length > LOG_LIMIT) { delete seen.keys[seen.order.shift()]; }
  }

  function addNotice(text) {
    append(make('p', 'notice', text));
    last = null;
  }

  function append(entry) {
    page.log.appendChild(entry);
    while (page.log.childNodes.length > LOG_LIMIT) { page.log.removeChild(page.log.firstChild); }
    atEnd = atEnd || / mine/.test(entry.className);
    follow();
  }

  // A log that shows its end keeps showing it, also when its height changes.
  function follow() {
    if (atEnd) { page.log.scrollTop = page.log.scrollHeight; }
  }

  // A crowd is listed in part: `count` is how many there are.
  function showRoster(names, count) {
    var more = (count || 0) - names.length;
    page.people.className = 'people';
    page.roster.textContent = '';
    page['roster-count'].textContent = String(Math.max(names.length, count || 0));
    names.forEach(function (name) {
      var mine = name === me.name;
      var row = make('li', mine ? 'you' : '');
      var who = make('span', 'is', name);
      row.appendChild(make('span', 'face ' + toneOf(name), initial(name))).setAttribute('aria-hidden', 'true');
      if (mine) { who.appendChild(make('small', '', ' (you)')); }
      row.title = name;
      row.appendChild(who);
      page.roster.appendChild(row);
    });
    if (more > 0) { page.roster.appendChild(make('li', 'more', 'and ' + more + ' more')); }
  }

  // The fields follow the name and room in force, but not while the user types in them.
  function showWho() {
    if (wanted.name === me.name && (document.activeElement !== page.name || page.name.value.trim() === me.name)) {
      page.name.value = me.name;
      remember();
    }
    page.name.placeholder = me.name;
    if (document.activeElement !== page.room || page.room.value.trim() === wanted.room) { page.room.value = me.room; }
  }

  function showTrouble(text) {
    if (page.error.textContent === text) { return; }
    page.error.textContent = text;
    follow();
  }

  function mark(field, wrong) {
    if (wrong) {
      field.setAttribute('aria-invalid', 'true');
      field.setAttribute('aria-describedby', 'error');
    } else {
      field.removeAttribute('aria-invalid');
      field.removeAttribute('aria-describedby');
    }
  }

  function fitComposer() {
    var length = lengthOf(page.message.value);
    page.message.style.height = 'auto';
    page.message.style.height = Math.min(page.message.scrollHeight + 2, 144) + 'px';
    page.count.textContent = length > MESSAGE_LIMIT * 0.9 ? length + ' of ' + MESSAGE_LIMIT + ' characters' : '';
    page.count.className = length > MESSAGE_LIMIT ? 'over' : '';
    follow();
  }

  function make(tag, className, text) {
    var element = document.createElement(tag);
    element.className = className;
    if (text !== undefined) { element.textContent = text; }
    return element;
  }

  function action(label, run) {
    var button = make('button', 'button quiet small', label);
    button.type = 'button';
    button.addEventListener('click', run);
    return button;
  }

  function toneOf(name) {
    var sum = 0;
    var i;
    for (i = 0; i < name.length; i += 1) { sum = (sum * 31 + name.charCodeAt(i)) % 65521; }
    return 'tone-' + sum % 6;
  }

  // The first character, which may be a surrogate pair.
  function initial(name) {
    return (/^(?:[\uD800-\uDBFF][\uDC00-\uDFFF]|[\s\S])/.exec(name) || [''])[0].toUpperCase();
  }

  // In code points, as the server counts.
  function lengthOf(text) {
    return text.replace(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g, '_').length;
  }

  function keyOf(said) {
    return said.id ? 'id ' + said.id : said.at + ' ' + said.name + ' ' + said.message;
  }

  // It must not be guessed by others.
  function randomText() {
    var crypto = window.crypto || window.msCrypto;
    var text = '';
    var numbers;
    var i;
    if (crypto && crypto.getRandomValues && typeof Uint32Array === 'function') {
      numbers = crypto.getRandomValues(new Uint32Array(4));
    } else {
      numbers = [1, 1, 1, 1].map(function () { return Math.floor(Math.random() * 4294967296); });
    }
    for (i = 0; i < 4; i += 1) { text += ('0000000' + numbers[i].toString(16)).slice(-8); }
    return text;
  }

  function sentence(text) {
    return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? '' : '.');
  }

  function clock(at) {
    var date = new Date(at);
    return ('0' + date.getHours()).slice(-2) + ':' + ('0' + date.getMinutes()).slice(-2);
  }

  function now() {
    return new Date().getTime();
  }

  // -- State kept over a reload ---------------------------------------------
  // The room and the transport live in the address, so that it can be shared; the
  // name belongs to this tab. Storage may be switched off: then nothing is kept.

  function fromQuery(key) {
    var found = new RegExp('[?&]' + key + '=([^&]*)').exec(location.search);
    try {
      return found ? decodeURIComponent(found[1].replace(/\+/g, ' ')).trim() : '';
    } catch (malformed) {
      return '';
    }
  }

  function recall(key) {
    try {
      return fromQuery(key) || sessionStorage.getItem('sockeye-' + key) || '';
    } catch (unavailable) {
      return '';
    }
  }

  function remember() {
    var query = [];
    if (wanted.room !== DEFAULT_ROOM) { query.push('room=' + encodeURIComponent(wanted.room)); }
    if (connection.choice) { query.push('transport=' + connection.choice); }
    try {
      sessionStorage.setItem('sockeye-name', wanted.name);
      history.replaceState(null, '', location.pathname + (query.length ? '?' + query.join('&') : ''));
    } catch (unavailable) {
      return;
    }
  }

  // -- Start -----------------------------------------------------------------

  page.who.addEventListener('submit', onWho);
  page.composer.addEventListener('submit', onCompose);
  page.message.addEventListener('input', fitComposer);
  page.message.addEventListener('keydown', function (event) {
    // 229: the Enter that ends a composition (Korean, Japanese, Chinese) is not ours.
    if (event.keyCode === 13 && !event.shiftKey && !event.isComposing && event.keyCode !== 229) { onCompose(event); }
  });
  page.log.addEventListener('scroll', function () {
    atEnd = page.log.scrollHeight - page.log.scrollTop - page.log.clientHeight < 60;
  });
  window.addEventListener('resize', follow);
  page.reconnect.addEventListener('click', function () { connection.connect(); });
  page['transport-select'].addEventListener('change', function () {
    connection.use(page['transport-select'].value);
    remember();
  });
  window.addEventListener('beforeunload', function (event) {
    if (outbox.length === 0) { return undefined; }
    event.preventDefault();
    event.returnValue = 'Some messages have not been delivered.';
    return event.returnValue;
  });

  page.name.value = wanted.name;
  page.room.value = wanted.room;
  page['transport-select'].value = fromQuery('transport');
  if (page['transport-select'].selectedIndex < 0) { page['transport-select'].value = ''; }
  connection.use(page['transport-select'].value);
}());
