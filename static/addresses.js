/*
 * The addresses in a text, as links. ES5, and text reaches the page as text nodes only.
 *
 *   element.appendChild(withAddresses('see https://example.org/'));
 *
 * Only http and https become links, and only where the shown address is the one that the browser
 * goes to: none with a name in front of the host, which could be taken for the host.
 */
(function (global) {
  'use strict';

  // An address ends at a space, a quote, a bracket that no address has unescaped, at characters
  // that nobody sees or that turn the text around them, and at the punctuation of East Asian
  // scripts. A backslash ends it too: browsers read it as a slash.
  var ADDRESS = new RegExp('\\bhttps?://[^\\s<>"`{}|\\\\^\\u0000-\\u001f\\u007f-\\u00a0\\u00ab\\u00bb\\u00ad\\u061c\\u180e' +
    '\\u2000-\\u200f\\u2018-\\u201f\\u2028-\\u202f\\u205f-\\u206f\\u2329\\u232a\\u3000-\\u303f\\ufe00-\\ufe0f\\ufeff' +
    '\\uff01-\\uff0f\\uff1a-\\uff20\\uff3b-\\uff40\\uff5b-\\uff65\\ufff0-\\uffff]+', 'gi');
  var HOST = /^https?:\/\/([^\/?#]+)/i;
  var CLOSES = { ')': '(', ']': '[' };

  function withAddresses(text) {
    var made = document.createDocumentFragment();
    var from = 0;
    var found;
    var link;
    ADDRESS.lastIndex = 0;
    while ((found = ADDRESS.exec(text)) !== null) {
      link = linkTo(trimmed(found[0]));
      if (link) {
        addText(made, text.slice(from, found.index));
        made.appendChild(link);
        from = found.index + link.textContent.length;
      }
    }
    addText(made, text.slice(from));
    return made;
  }

  // Null for an address that must not be followed.
  function linkTo(address) {
    var host = HOST.exec(address);
    var link;
    if (!host || host[1].indexOf('@') !== -1) { return null; }
    link = document.createElement('a');
    link.href = address;
    // The browser's own reading has the last word; it has no host where the address makes no sense.
    if (!/^https?:$/.test(link.protocol) || !link.hostname) { return null; }
    link.target = '_blank';
    // The other page gets neither a hold on this one nor its address, which names the room.
    link.rel = 'noopener noreferrer';
    link.appendChild(document.createTextNode(address));
    return link;
  }

  // Without the punctuation that belongs to the sentence, and a bracket that was opened before it.
  function trimmed(address) {
    var end = address.length;
    var open = { '(': count(address, '('), '[': count(address, '[') };
    var closed = { ')': count(address, ')'), ']': count(address, ']') };
    var last;
    for (; end > 0; end -= 1) {
      last = address.charAt(end - 1);
      if (CLOSES[last]) {
        if (closed[last] <= open[CLOSES[last]]) { break; }
        closed[last] -= 1;
      } else if (!/[.,;:!?'*_~\u2026]/.test(last)) {
        break;
      }
    }
    return address.slice(0, end);
  }

  function count(text, letter) {
    return text.split(letter).length - 1;
  }

  function addText(made, text) {
    if (text) { made.appendChild(document.createTextNode(text)); }
  }

  global.withAddresses = withAddresses;
}(window));
