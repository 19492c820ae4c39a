/*
 * The report of /compare, as JSON and as Markdown. ES5.
 */
(function (global) {
  'use strict';

  var Compare = global.Compare;

  // Of a run that has ended: done, stopped or failed.
  Compare.report = function (run, how, idle) {
    return {
      tool: 'sockeye /compare', format: 1, ended: how,
      started: run.started.toISOString(), seconds: Math.round((Compare.clock() - run.startedAt) / 1000),
      page: location.href, endpoint: location.protocol + '//' + location.host + (run.way ? run.way.endpoint : ''),
      browser: navigator.userAgent, client: SockJS.version, wasHidden: run.wasHidden,
      protocol: protocol(), network: network(), idle: idle,
      infoRoundTrip: run.way && run.way.roundTrip,
      results: run.results,
      culprits: Compare.culprits(run.results),
      recommendation: run.way ? Compare.recommend(run.results) : null
    };
  };

  // The browser's facts about the way: HTTP's version as far as the next hop, and its guess of the
  // network. Null: not told.
  function protocol() {
    var entry = window.performance && performance.getEntriesByType ? performance.getEntriesByType('navigation')[0] : null;
    return entry && entry.nextHopProtocol || null;
  }

  function network() {
    var connection = navigator.connection;
    return connection ? { type: connection.effectiveType || null, rtt: connection.rtt || null, downlink: connection.downlink || null } : null;
  }

  // As Markdown, to paste where bugs are reported.
  Compare.markdown = function (report) {
    var lines = ['| transport | result | opens | round trip | slowest | stream | ' + report.idle + ' s idle | largest | requests per message | bytes per message |',
      '|---|---|---:|---:|---:|---|---|---:|---:|---:|'];
    report.results.forEach(function (result) {
      var cells = Compare.cells(result);
      lines.push('| ' + [result.transport, cells.verdict, cells.opened, cells.trip, cells.range.replace('to ', '') || '–', cells.stream, cells.idle,
        cells.largest + (cells.larger && ' (' + cells.larger + ')'), cells.requests, cells.bytes].join(' | ') + ' |');
    });
    if (report.recommendation) {
      lines.push('', '**' + report.recommendation.headline + '.** ' + report.recommendation.reasons.join(' '));
    }
    report.culprits.forEach(function (culprit) {
      lines.push('', '- **' + Compare.CAUSES[culprit.cause].title + '** (' + culprit.transports.join(', ') + '). ' + culprit.evidence);
    });
    lines.push('', report.endpoint + ', ' + report.started + ', ' + report.browser);
    return lines.join('\n').replace(/\u00a0/g, ' ') + '\n';
  };

  // As a file behind a link, where the browser can.
  Compare.offer = function (report, link) {
    if (typeof Blob !== 'function' || !global.URL || !URL.createObjectURL) {
      link.hidden = true;
      return;
    }
    if (link.href.indexOf('blob:') === 0) { URL.revokeObjectURL(link.href); }
    link.href = URL.createObjectURL(new Blob([JSON.stringify(report, null, 2)], { type: 'application/json' }));
  };

  // As Markdown in the clipboard; `done` is told whether it got there.
  Compare.copy = function (report, done) {
    var text = Compare.markdown(report);
    // Only pages over https and of this machine get the newer way.
    if (navigator.clipboard && navigator.clipboard.writeText) {
      navigator.clipboard.writeText(text).then(function () { done(true); }, function () { done(copyOld(text)); });
    } else {
      done(copyOld(text));
    }
  };

  function copyOld(text) {
    var area = document.createElement('textarea');
    var worked;
    area.className = 'visually-hidden';
    area.value = text;
    area.setAttribute('aria-hidden', 'true');
    document.body.appendChild(area);
    area.select();
    try {
      worked = document.execCommand('copy');
    } catch (refused) {
      worked = false;
    }
    document.body.removeChild(area);
    return worked;
  }
}(window));
