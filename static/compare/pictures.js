/*
 * The pictures of /compare, as inline SVG: round trips, and when messages of a
 * stream were sent and arrived. Drawn for the width that they get, so that their
 * letters keep their size on a phone; colours come from compare.css. ES5.
 */
(function (global) {
  'use strict';

  var Compare = global.Compare;
  var SVG = 'http://www.w3.org/2000/svg';

  var NAMES = 150; // px for the names, where they stand beside the rows
  var NARROW = 560; // px; below it the names stand above the rows
  var RIGHT = 64; // px for the figure at the end of a row
  var AXIS = 26; // px below the rows

  // Each round trip is a dot, on a logarithmic axis; the bar is their median. Null when there is
  // none.
  Compare.pictureTrips = function (results, width) {
    var shown = results.filter(function (result) { return result.trips.length > 0; });
    var all = [].concat.apply([], shown.map(function (result) { return result.trips; }));
    var frame;
    var low;
    var high;
    if (shown.length === 0) { return null; }
    low = floor(Math.max(0.2, Math.min.apply(null, all)));
    high = ceiling(Math.max(2 * low, Math.max.apply(null, all)));
    frame = new Frame(width, shown.length, 34, 'Round trips by transport. ' + shown.map(function (result) {
      return result.transport + ': median ' + Compare.ms(Compare.median(result.trips));
    }).join('; ') + '.');
    frame.scale = function (ms) { return Math.log(Math.max(ms, low) / low) / Math.log(high / low); };
    frame.axis(ticks(low, high, frame.span), function (ms) { return ms + ' ms'; });
    shown.forEach(function (result, row) {
      var median = Compare.median(result.trips);
      frame.name(row, result.transport, Compare.ms(median));
      frame.line('lane', frame.y(row));
      result.trips.forEach(function (ms, index) {
        // Spread over the lane, so that dots of one value stay apart.
        frame.add('circle', { 'class': 'dot', cx: frame.x(ms), cy: frame.y(row) + (index * 7 % 11 - 5) * 1.3, r: 3.2 });
      });
      frame.add('line', { 'class': 'median', x1: frame.x(median), x2: frame.x(median), y1: frame.y(row) - 11, y2: frame.y(row) + 11 });
    });
    return frame.svg;
  };

  // For each stream: above, when messages were sent; below, when they arrived. Null when there is
  // none.
  Compare.pictureStreams = function (results, width) {
    var shown = results.filter(function (result) {
      return result.stream || result.failure && result.failure.cause === 'buffering';
    });
    var longest = 0;
    var frame;
    if (shown.length === 0) { return null; }
    shown.forEach(function (result) {
      longest = Math.max(longest, result.stream ? result.stream.marks[result.stream.marks.length - 1][1] : result.failure.held);
    });
    frame = new Frame(width, shown.length, 46, 'Streams by transport. ' + shown.map(function (result) {
      return result.transport + ': ' + (result.stream ? result.stream.how : 'held back');
    }).join('; ') + '.');
    frame.scale = function (ms) { return ms / longest; };
    frame.axis(even(longest, frame.span), function (ms) { return ms >= 1000 ? ms / 1000 + ' s' : ms + ' ms'; });
    shown.forEach(function (result, row) {
      frame.name(row, result.transport, result.stream ? result.stream.how : 'held back');
      if (result.stream) {
        drawStream(frame, row, result.stream);
      } else {
        drawHeld(frame, row, result.failure.held);
      }
    });
    return frame.svg;
  };

  function drawStream(frame, row, stream) {
    var top = frame.y(row) - 10;
    var bottom = frame.y(row) + 10;
    frame.line('lane', top);
    frame.line('lane', bottom);
    stream.marks.forEach(function (mark) {
      frame.add('line', { 'class': 'way ' + (stream.how === 'lumps' ? 'bad' : ''), x1: frame.x(mark[0]), x2: frame.x(mark[1]), y1: top, y2: bottom });
      frame.add('circle', { 'class': 'sent', cx: frame.x(mark[0]), cy: top, r: 2.6 });
      frame.add('circle', { 'class': 'arrived ' + (stream.how === 'lumps' ? 'bad' : ''), cx: frame.x(mark[1]), cy: bottom, r: 3.4 });
    });
  }

  function drawHeld(frame, row, held) {
    var text = 'nothing in ' + (held / 1000).toFixed(1) + ' s, then all of it at the end of the response';
    var fits = frame.span > 380;
    frame.add('rect', { 'class': 'held', x: frame.left, y: frame.y(row) - 12, width: Math.max(1, frame.x(held) - frame.left), height: 24, rx: 6 });
    frame.add('circle', { 'class': 'arrived bad', cx: frame.x(held), cy: frame.y(row), r: 5 });
    frame.text('inside', frame.left + 10, frame.y(row) + 4, fits ? text : 'nothing in ' + (held / 1000).toFixed(1) + ' s, then all at once');
  }

  // -- A frame of rows over an axis ---------------------------------------------------

  function Frame(width, rows, lane, label) {
    this.isNarrow = width < NARROW;
    this.lane = lane;
    this.head = this.isNarrow ? 22 : 0;
    this.left = this.isNarrow ? 8 : NAMES;
    this.width = width;
    this.span = width - this.left - (this.isNarrow ? 14 : RIGHT + 12);
    this.bottom = rows * (lane + this.head) + 6;
    this.scale = null;
    this.svg = element('svg', {
      width: width, height: this.bottom + AXIS, viewBox: '0 0 ' + width + ' ' + (this.bottom + AXIS), role: 'img', 'aria-label': label
    });
  }

  Frame.prototype.x = function (value) {
    return Math.round((this.left + this.span * this.scale(value)) * 10) / 10;
  };

  Frame.prototype.y = function (row) {
    return row * (this.lane + this.head) + this.head + this.lane / 2 + 3;
  };

  Frame.prototype.add = function (tag, attributes) {
    return this.svg.appendChild(element(tag, attributes));
  };

  Frame.prototype.text = function (className, x, y, text, anchor) {
    this.add('text', { 'class': className, x: x, y: y, 'text-anchor': anchor || 'start' }).appendChild(document.createTextNode(text));
  };

  Frame.prototype.name = function (row, name, figure) {
    var y = this.isNarrow ? this.y(row) - this.lane / 2 - 4 : this.y(row) + 4;
    this.text('name', 0, y, name);
    this.text('figure', this.width, y, figure, 'end');
  };

  Frame.prototype.line = function (className, y) {
    this.add('line', { 'class': className, x1: this.left, x2: this.left + this.span, y1: y, y2: y });
  };

  Frame.prototype.axis = function (values, label) {
    var self = this;
    values.forEach(function (value) {
      var x = self.x(value);
      var anchor = x < 24 ? 'start' : x > self.width - 24 ? 'end' : 'middle';
      self.add('line', { 'class': 'grid', x1: x, x2: x, y1: 2, y2: self.bottom });
      self.text('tick', x, self.bottom + 18, label(value), anchor);
    });
  };

  // -- Axes ------------------------------------------------------------------------

  // 1, 2 and 5 of each power of ten, as many as there is room for.
  function ticks(low, high, span) {
    var all = [];
    var power;
    for (power = 0.1; power <= high; power *= 10) {
      [1, 2, 5].forEach(function (digit) {
        var value = Number((digit * power).toPrecision(3));
        if (value >= low && value <= high) { all.push(value); }
      });
    }
    return thinned(all, span);
  }

  function even(longest, span) {
    var step = [50, 100, 200, 250, 500, 1000, 2000, 5000, 10000, 20000].filter(function (one) {
      return longest / one <= Math.max(3, span / 90);
    })[0] || longest;
    var all = [];
    var value;
    for (value = 0; value <= longest; value += step) { all.push(value); }
    return all;
  }

  function thinned(values, span) {
    var room = Math.max(2, Math.floor(span / 56));
    var each = Math.ceil(values.length / room);
    return values.filter(function (value, index) { return index % each === 0; });
  }

  function floor(value) {
    return round(value, [5, 2, 1], function (one) { return one <= value; });
  }

  function ceiling(value) {
    return round(value, [1, 2, 5, 10], function (one) { return one >= value; });
  }

  function round(value, digits, fits) {
    var power = Math.pow(10, Math.floor(Math.log(value) / Math.LN10));
    return Number((digits.map(function (digit) { return digit * power; }).filter(fits)[0] || value).toPrecision(3));
  }

  function element(tag, attributes) {
    var made = document.createElementNS(SVG, tag);
    Object.keys(attributes).forEach(function (name) { made.setAttribute(name, attributes[name]); });
    return made;
  }
}(window));
