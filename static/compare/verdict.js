/*
 * The results of measure.js in words: a verdict for each transport, obstacles on the way, and the
 * transport to use. Nothing here touches the page. ES5.
 */
(function (global) {
  'use strict';

  var Compare = global.Compare;

  // As sockjs-client tries them.
  Compare.ORDER = [
    'websocket', 'xhr-streaming', 'eventsource', 'iframe-eventsource', 'htmlfile', 'iframe-htmlfile',
    'xhr-polling', 'iframe-xhr-polling', 'jsonp-polling'
  ];

  // The usual cause of each failure, its remedy, and the settings for it.
  Compare.CAUSES = {
    'upgrade': {
      title: 'Upgrade does not get through',
      usual: 'Usually a proxy, a firewall or an antivirus that drops the Upgrade header of a WebSocket handshake, or refuses it. Plain requests to the same server get through.',
      mend: 'In a network that you don’t control, try https, which hides the handshake from most of them. In a proxy of your own, pass the handshake on; for nginx:',
      code: 'proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection "upgrade";'
    },
    'frames of websocket': {
      title: 'A WebSocket opens and stays silent',
      usual: 'Usually an antivirus or a firewall that lets the handshake pass and holds back the frames behind it.',
      mend: 'Try https. Otherwise leave WebSocket out of the list of transports.'
    },
    'buffering': {
      title: 'Responses are held back until they end',
      usual: 'Usually a buffering proxy or an antivirus that collects a response before it passes it on; a stream then never arrives in time.',
      mend: 'Use WebSocket or polling. In a proxy of your own, switch buffering off, and do not ignore X-Accel-Buffering, with which this server asks for that; for nginx:',
      code: 'proxy_http_version 1.1;\nproxy_buffering off;'
    },
    'lumps': {
      title: 'Streams arrive in lumps',
      usual: 'Usually a proxy that passes a response on only when a buffer is full or a while has passed.',
      mend: 'In a proxy of your own, switch buffering and compression off. Otherwise use WebSocket or polling.'
    },
    'frames': {
      title: 'Frames are blocked',
      usual: 'Usually X-Frame-Options or frame-ancestors added on the way, or a browser extension. Where the server is on another site than the page, blocked third-party cookies and storage do the same.',
      mend: 'Let the iframe page of the endpoint be framed by your pages. The other transports do without frames.'
    },
    'script in frame': {
      title: 'The script of the iframe page does not run',
      usual: 'Usually a content-security policy added on the way, or the URL of sockjs-client, which the iframe page loads, does not answer.',
      mend: 'Look whether that URL (client_url) answers, and let inline scripts run on the iframe page.'
    },
    'versions': {
      title: 'The iframe page loads another sockjs-client',
      usual: 'Usually an old copy of the iframe page in a cache; both sides must be of the same version.',
      mend: 'Clear the browser’s cache, and see whether client_url names the version that your pages load.'
    },
    'policy': {
      title: 'A content-security policy forbids it',
      usual: 'Usually the page’s own policy, or one that a proxy has added to it.',
      mend: 'Name the server in that directive of the policy.'
    },
    'requests': {
      title: 'Requests do not arrive',
      usual: 'Usually a firewall, a filter or a browser extension that blocks the path; or the server is overloaded.',
      mend: 'Look up the status in the log of each proxy on the way.'
    },
    'answers': {
      title: 'Answers do not arrive',
      usual: 'The server has taken the request and answered; usually a proxy or an antivirus keeps the answer.',
      mend: 'Look for a cache or a filter between this browser and the server.'
    },
    'closed': {
      title: 'The session breaks off',
      usual: 'Usually a proxy that ends requests it does not expect, a lost network, or a restart of the server.',
      mend: 'Run this page again; if it happens again, look up the log of each proxy on the way.'
    },
    'silence': {
      title: 'Silent connections are cut',
      usual: 'Usually an idle timeout on the way (a proxy, a NAT, a mobile network) that is shorter than the server’s heartbeat.',
      mend: 'Set heartbeat_delay of the endpoint below that timeout. Where only polls are cut, sockeye_wait=SECONDS in the query of the URL shortens them, if the endpoint allows it.'
    },
    'size': {
      title: 'Large messages are refused',
      usual: 'Usually a proxy’s limit of request bodies; nginx refuses more than 1 MiB by default.',
      mend: 'Send smaller messages. In a proxy of your own, raise the limit; for nginx:',
      code: 'client_max_body_size 8m;'
    },
    'changed': {
      title: 'Messages come back changed',
      usual: 'Usually a filter on the way that rewrites messages.',
      mend: 'Use https.'
    },
    'off': {
      title: 'Switched off on the server',
      usual: 'The endpoint does not offer this transport.',
      mend: 'See transports in the settings of the endpoint, or whether a proxy leaves this path out.'
    },
    'lacking': {
      title: 'This browser lacks it',
      usual: 'The browser lacks a feature that the transport needs.',
      mend: 'Nothing to do: sockjs-client passes it over.'
    }
  };

  // The limits of a figure, or why it is missing.
  Compare.NOTES = {
    'websocket bytes': 'websocket: after the handshake messages need no requests; their bytes are not told, because the browser’s timeline lists no WebSockets.',
    'open response': 'Streams: the response that carries the messages is not told before it ends, so its bytes are not, and only the requests that send are counted.',
    'headers': 'Polls: bytes are those of the bodies. The browser tells neither the bytes of headers nor those of requests.',
    'form': 'jsonp-polling: messages are sent by a form in a hidden frame, and the browser does not list that request.',
    'own origin': 'iframe-…: this page and the server have one origin, so whether the browser blocks frames and cookies of other sites is not told here.',
    'no sizes': 'This browser does not tell how large answers are.',
    'no timeline': 'This browser keeps no timeline of requests.'
  };

  var STEPS = {
    'open': 'opening', 'frame': 'the hidden frame', 'first frame': 'the first frame after the handshake',
    'round trip': 'the first messages', 'stream': 'a stream of messages'
  };

  // {verdict, words, cause}: verdict is works, limited, fails, lacking or unfinished.
  Compare.judge = function (result) {
    var failure = result.failure;
    if (failure && (failure.cause === 'lacking' || failure.cause === 'off')) {
      return { verdict: 'lacking', words: failure.cause === 'off' ? 'off' : 'not here', causes: [failure.cause] };
    }
    if (failure) { return { verdict: 'fails', words: 'fails', causes: [failure.cause] }; }
    if (result.largest === null) { return { verdict: 'unfinished', words: result.opened === null ? 'waits' : 'unfinished', causes: [] }; }
    return judgeWorking(result);
  };

  function judgeWorking(result) {
    var causes = [];
    if (result.stream && result.stream.how === 'lumps') { causes.push('lumps'); }
    if (result.refused && result.refused.cause === 'changed') { causes.push('changed'); }
    if (result.refused && result.refused.cause === 'closed') { causes.push('size'); }
    if (result.idle && (result.idle.how === 'closed' || result.idle.how === 'silent')) { causes.push('silence'); }
    return causes.length ? { verdict: 'limited', words: 'with limits', causes: causes } :
      { verdict: 'works', words: 'works', causes: causes };
  }

  // The event behind one cause of one transport: a sentence.
  Compare.evidence = function (result, cause) {
    var failure = result.failure || {};
    var refused = result.refused || {};
    var idle = result.idle || {};
    switch (cause) {
    case 'lumps':
      return 'Of ' + result.stream.marks.length + ' messages sent every ' + Compare.ms(result.stream.spacing) + ', several arrived together each time.';
    case 'changed':
      return 'A message of ' + Compare.bytes(refused.bytes) + ' came back changed.';
    case 'size':
      return 'A message of ' + Compare.bytes(refused.bytes) + ' broke the session' + because(refused) + '.';
    case 'silence':
      return idle.how === 'closed' ? 'Broke off after ' + unit(idle.after, 's') + ' of silence.' :
        'After ' + unit(idle.seconds, 's') + ' of silence nothing arrived any more, though neither side had closed the session.';
    case 'buffering':
      return 'Fails at ' + STEPS[failure.step] + ': the server had answered, nothing of it arrived in ' + seconds(failure.held) +
        ', and all of it as soon as the response ended.';
    case 'answers':
      return 'Fails at ' + STEPS[failure.step] + ': the server knows the session, and nothing arrived in ' + seconds(failure.held) + '.';
    case 'upgrade':
      return 'Fails at opening: the handshake was refused or lost, though a plain request to the same path was answered with status ' +
        failure.status + '.';
    case 'policy':
      return 'Fails at opening: the directive ' + failure.directive + ' refused ' + (failure.blocked || 'it') + '.';
    case 'off':
      return failure.status ? 'Its path answers ' + failure.status + '.' : 'The server’s info says so.';
    case 'lacking':
      return 'Was not tried.';
    default:
      return 'Fails at ' + STEPS[failure.step] + because(failure) + '.';
    }
  };

  function because(how) {
    // From inside a frame the status comes as the reason of the close.
    var status = how.status || how.closed && (/http status (\d+)/.exec(how.closed.reason) || [])[1];
    if (status) { return ': status ' + status; }
    if (how.closed && how.closed.code !== 2000) { return ': closed with ' + how.closed.code + (how.closed.reason ? ', ' + how.closed.reason : ''); }
    return ': no answer, and the browser does not tell more';
  }

  // Obstacles: [{cause, transports, evidence}], in the order in which it shows; the evidence is a
  // sentence about the first transport.
  Compare.culprits = function (results) {
    var found = [];
    results.forEach(function (result) {
      Compare.judge(result).causes.forEach(function (cause) {
        var known = found.filter(function (one) { return one.cause === cause; })[0];
        if (cause === 'lacking') { return; }
        if (!known) {
          known = { cause: cause, transports: [], evidence: Compare.evidence(result, cause) };
          found.push(known);
        }
        known.transports.push(result.transport);
      });
    });
    return found;
  };

  // {headline, reasons: [sentence], transports: [name] or null when sockjs-client needs no list}.
  Compare.recommend = function (results) {
    var usable = results.filter(function (result) { return /^(works|limited)$/.test(Compare.judge(result).verdict); });
    var best;
    var spare;
    if (usable.length === 0) { return nothing(results); }
    usable.sort(function (one, other) { return rank(one) - rank(other); });
    best = usable[0];
    spare = usable.slice(1).filter(function (result) { return kind(result.transport) !== kind(best.transport); })[0];
    return {
      transport: best.transport,
      headline: 'Use ' + best.transport,
      reasons: [measured(best)].concat(better(results, best), spare ? ['In reserve: ' + spare.transport + '. ' + measured(spare)] : [],
        listing(results, best)),
      transports: listed(results) ? [best.transport].concat(spare ? [spare.transport] : []) : null
    };
  };

  function nothing(results) {
    var tried = results.some(function (result) { return result.failure; });
    return {
      transport: null,
      headline: tried ? 'No transport got through' : 'Nothing has been measured to its end',
      reasons: tried ? ['Info was answered, so the server is there. The obstacles are listed below; a proxy, a firewall or an extension that does all of this is rare, so look for the one that they share.'] :
        ['Start again, and let at least one transport finish.'],
      transports: null
    };
  }

  // The order of sockjs-client, those with limits behind those without.
  function rank(result) {
    var at = Compare.ORDER.indexOf(result.transport);
    return at + (Compare.judge(result).causes.some(isGrave) ? Compare.ORDER.length : 0);
  }

  // A limit of size leaves a transport useful for all smaller messages.
  function isGrave(cause) {
    return cause !== 'size';
  }

  function kind(transport) {
    if (transport === 'websocket') { return 'websocket'; }
    return /polling$/.test(transport) ? 'polling' : 'streaming';
  }

  function measured(result) {
    var facts = ['It opened in ' + Compare.ms(result.opened),
      'a message was back in ' + Compare.ms(Compare.median(result.trips)) + ' (median of ' + result.trips.length + ')',
      'messages of ' + Compare.bytes(result.largest) + ' pass'];
    if (result.idle && result.idle.survived) { facts.push(unit(result.idle.seconds, 's') + ' of silence did it no harm'); }
    return sentence(facts) + cost(result);
  }

  function cost(result) {
    switch (kind(result.transport)) {
    case 'websocket': return ' A message costs no request.';
    case 'streaming': return ' Only sending costs a request.';
    default: return ' Each message received costs a request, and each message sent another.';
    }
  }

  // Why not one that comes earlier.
  function better(results, best) {
    return results.filter(function (result) {
      return Compare.ORDER.indexOf(result.transport) < Compare.ORDER.indexOf(best.transport) && Compare.judge(result).causes.length > 0;
    }).sort(function (one, other) {
      return Compare.ORDER.indexOf(one.transport) - Compare.ORDER.indexOf(other.transport);
    }).slice(0, 2).map(function (result) {
      return 'Not ' + result.transport + ': ' + lower(Compare.CAUSES[Compare.judge(result).causes[0]].title) + '.';
    });
  }

  function listed(results) {
    return results.some(function (result) { return Compare.judge(result).verdict === 'fails'; });
  }

  function listing(results, best) {
    var first = Compare.ORDER.filter(function (name) {
      return results.some(function (result) { return result.transport === name && result.trips.length > 0 && !result.failure; });
    })[0];
    if (listed(results)) {
      return ['sockjs-client finds a way by itself, after it has tried in vain; where all your users are behind this network, a list of transports spares them that.'];
    }
    return first === best.transport ? ['sockjs-client in its default setting chooses ' + best.transport + ' by itself.'] : [];
  }

  // -- Figures as text -----------------------------------------------------------

  Compare.ms = function (ms) {
    if (ms === null) { return '–'; }
    return unit(ms < 9.95 ? ms.toFixed(1) : Math.round(ms), 'ms');
  };

  Compare.bytes = function (bytes) {
    if (bytes >= 1024 * 1024 && bytes % (1024 * 1024) === 0) { return unit(bytes / 1024 / 1024, 'MiB'); }
    if (bytes >= 1024 && bytes % 1024 === 0) { return unit(bytes / 1024, 'KiB'); }
    return unit(Math.round(bytes), 'B');
  };

  // Cells of a result's row, as text for the table and the Markdown.
  Compare.cells = function (result) {
    var judged = Compare.judge(result);
    var isOut = judged.verdict === 'fails' || judged.verdict === 'lacking';
    return {
      verdict: judged.words,
      opened: Compare.ms(result.opened),
      trip: Compare.ms(Compare.median(result.trips)),
      range: result.trips.length ? 'to ' + Compare.ms(Math.max.apply(null, result.trips)) : '',
      stream: isOut ? streamOut(result) : streamText(result),
      idle: idleText(result),
      largest: result.largest === null ? '–' : Compare.bytes(result.largest),
      larger: result.refused && result.refused.cause === 'late' ? Compare.bytes(result.refused.bytes) + ': no echo' : '',
      requests: requestsText(result),
      bytes: bytesText(result)
    };
  };

  function streamOut(result) {
    return result.failure.cause === 'buffering' ? 'held back' : '–';
  }

  function streamText(result) {
    if (result.stream) { return result.stream.how === 'lumps' ? 'in lumps' : 'as sent'; }
    return /polling$/.test(result.transport) && result.largest !== null ? 'no stream' : '–';
  }

  function idleText(result) {
    var idle = result.idle;
    if (!idle) { return '–'; }
    if (idle.survived) { return unit(idle.seconds, 's'); }
    if (idle.how === 'closed') { return 'cut after ' + unit(idle.after, 's'); }
    return idle.how === 'silent' ? 'went dead' : 'did not reopen';
  }

  function requestsText(result) {
    var traffic = result.traffic;
    if (!traffic) { return '–'; }
    if (traffic.requests === null) { return 'not told'; }
    if (traffic.requests === 0) { return '0'; }
    return traffic.requests.toFixed(1) + (traffic.notes.indexOf('form') === -1 ? '' : ' + form');
  }

  function bytesText(result) {
    var traffic = result.traffic;
    if (!traffic) { return '–'; }
    return traffic.bytes === null ? 'not told' : Compare.bytes(Math.round(traffic.bytes));
  }

  function seconds(ms) {
    return unit((ms / 1000).toFixed(1), 's');
  }

  // A figure stays on the line of its unit.
  function unit(figure, name) {
    return figure + '\u00a0' + name;
  }

  function sentence(facts) {
    return facts.slice(0, -1).join(', ') + ' and ' + facts[facts.length - 1] + '.';
  }

  function lower(text) {
    return /^Upgrade/.test(text) ? text : text.charAt(0).toLowerCase() + text.slice(1);
  }
}(window));
