// One conversation with the echo endpoint, and its possible failures. `exchange`
// and `closing` are also sent to the browser as source: they use nothing from outside.

/** Texts that break careless escaping, framing, form posts or scripts. */
export const NASTY = [
  '100%',
  '%41%zz%25',
  '</script><script>window.broken = true</script>',
  '<!-- <script>',
  'line\u2028paragraph\u2029end',
  'emoji \u{1F41F}\u{1F469}\u200D\u{1F680}',
  'quote " back\\slash \' slash /',
  'a+b=c&d=e;f#g?h',
  'tab\t newline\n return\r\n nul\u0000 del\u007f',
  '\ufeff\u200c\u200d\u2060\ufff0\uffff',
  '한국어 · Ünïcödé · עברית',
  'o', 'h', 'a["x"]', 'c[3000,"Go away!"]',
  '',
  ' ',
  'x'.repeat(100 * 1024),
  '\u{1F41F}%</'.repeat(4 * 1024),
];

/** Sends all `messages` at once; resolves with what came back, as differences. */
export function exchange(SockJS, { url, transport, messages }) {
  return new Promise((resolve) => {
    const sock = new SockJS(url, null, { transports: [transport] });
    const received = [];
    let used = null;
    const end = (closed) => {
      const wrong = messages.flatMap((sent, at) => (received[at] === sent ? [] : [{
        at, sent: sent.slice(0, 60), received: received[at]?.slice(0, 60) ?? null,
      }]));
      resolve({ transport: used, count: received.length, wrong, closed });
    };
    sock.onopen = () => {
      used = sock.transport;
      messages.forEach((message) => sock.send(message));
    };
    sock.onmessage = (event) => {
      received.push(event.data);
      if (received.length < messages.length) return;
      sock.onclose = null;
      sock.close();
      end(null);
    };
    sock.onclose = (event) => end({ code: event.code, reason: event.reason });
  });
}

/** Waits for the server to close; resolves with the close as the page sees it. */
export function closing(SockJS, { url, transport }) {
  return new Promise((resolve) => {
    const sock = new SockJS(url, null, { transports: [transport] });
    let used = null;
    sock.onopen = () => { used = sock.transport; };
    sock.onclose = (event) => resolve({ transport: used, code: event.code, reason: event.reason, wasClean: event.wasClean });
  });
}
