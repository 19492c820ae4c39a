/*
 * The page of rooms: fetches itself now and then, and takes over the list of the fresh page. ES5.
 */
(function () {
  'use strict';

  var INTERVAL = 5000; // ms
  var LONGEST = 60000; // between two attempts while the server does not answer
  var PATIENCE = 10000; // ms for an answer

  var page = {};
  ['fresh', 'fresh-state', 'fresh-again', 'list', 'list-title'].forEach(function (id) {
    page[id] = document.getElementById(id);
  });

  var timer = null;
  var request = null;
  var failures = 0;
  var readAt = new Date();

  function refresh() {
    clearTimeout(timer);
    if (request) { return; }
    request = new XMLHttpRequest();
    request.open('GET', '/rooms');
    request.setRequestHeader('Accept', 'text/html');
    request.responseType = 'document';
    request.timeout = PATIENCE;
    request.onloadend = onAnswer;
    request.send();
  }

  function onAnswer() {
    var status = request.status;
    var fresh = status === 200 ? request.response : null;
    request = null;
    if (fresh && fresh.getElementById('list')) {
      failures = 0;
      readAt = new Date();
      take(fresh);
      show('open', 'Up to date');
    } else {
      failures += 1;
      show('waiting', 'The list is from ' + clock(readAt) + ': ' +
        (status ? 'the server answered with status ' + status : 'the server does not answer') + '. Trying again…');
    }
    plan();
  }

  // A hidden page asks for nothing.
  function plan() {
    clearTimeout(timer);
    if (document.hidden) { return; }
    // Pages that lost their server at one time should not all come back in the same instant.
    timer = setTimeout(refresh, failures ? Math.min(LONGEST, INTERVAL * Math.pow(2, failures - 1)) * (0.5 + Math.random() / 2) : INTERVAL);
  }

  function take(fresh) {
    var focused = document.activeElement;
    var href = focused && page.list.contains(focused) ? focused.getAttribute('href') : null;
    ['list-title', 'list'].forEach(function (id) {
      var made = document.importNode(fresh.getElementById(id), true);
      // Left alone without a change: a screen reader reads the title out when it changes.
      if (made.isEqualNode(page[id])) { return; }
      page[id].parentNode.replaceChild(made, page[id]);
      page[id] = made;
    });
    if (href && !page.list.contains(focused)) { focusOn(href); }
  }

  function focusOn(href) {
    Array.prototype.forEach.call(page.list.getElementsByTagName('a'), function (link) {
      if (link.getAttribute('href') === href) { link.focus(); }
    });
  }

  function show(state, text) {
    page.fresh.className = 'link ' + state;
    page.list.style.opacity = state === 'open' ? '' : '.55';
    page['fresh-again'].hidden = state === 'open';
    if (page['fresh-state'].textContent !== text) { page['fresh-state'].textContent = text; }
  }

  function clock(at) {
    return [at.getHours(), at.getMinutes(), at.getSeconds()].map(function (part) {
      return ('0' + part).slice(-2);
    }).join(':');
  }

  page['fresh-again'].addEventListener('click', refresh);
  document.addEventListener('visibilitychange', function () {
    if (document.hidden) { plan(); } else { refresh(); }
  });
  window.addEventListener('online', refresh);
  page.fresh.hidden = false;
  show('open', 'Up to date');
  plan();
}());
