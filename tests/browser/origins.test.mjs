// Pages of other origins in Chromium, beside a visitor who is logged in: the backend tells its
// secret to each session that has the visitor's cookie.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { WebSocketServer } from 'ws';
import { clientSource } from './support/clients.mjs';
import { launch, LIMIT, newContext, newPage } from './support/chromium.mjs';
import { startSockeye } from './support/server.mjs';

const TRANSPORTS = [
  'websocket', 'xhr-streaming', 'eventsource', 'xhr-polling', 'jsonp-polling',
  'iframe-eventsource', 'iframe-htmlfile', 'iframe-xhr-polling',
];
const OWN = ['websocket', 'xhr-streaming', 'eventsource', 'htmlfile', 'xhr-polling', 'jsonp-polling'];
const SECRET = 'the secret of the visitor';

/** A backend whose sessions are the visitor's when they have the cookie. */
async function startBackend() {
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  const backend = { sessions: 0, server, sockets };
  sockets.on('connection', (socket, request) => {
    backend.sessions += 1;
    socket.send(/visitor=1/.test(request.headers.cookie ?? '') ? SECRET : 'nothing');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(backend, { url: `ws://127.0.0.1:${server.address().port}/` });
}

/** Pages at any name; `?hidden` tells the browser to send no Referer. */
async function startPages() {
  const server = createServer((request, response) => {
    if (request.url.endsWith('hidden')) response.setHeader('Referrer-Policy', 'no-referrer');
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.end('<!DOCTYPE html><title>elsewhere</title><link rel="icon" href="data:,"><body></body>');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: server.address().port, server };
}

/** Runs in the page: one session on each transport; what each has heard, or how it closed. */
function visit({ url, transports }) {
  return Promise.all(transports.map((transport) => new Promise((resolve) => {
    const sock = new SockJS(url, null, { transports: [transport] });
    sock.onmessage = ({ data }) => resolve([transport, data]);
    sock.onclose = ({ code }) => resolve([transport, code]);
  })));
}

/** Runs in the page: what no client does, and a page of ill will can. Resolves with all it has learned. */
async function attack({ url, turn }) {
  const learned = [];
  let count = 0;
  const session = () => `${url}/000/evil${turn}x${count++}`;
  const learn = (data) => learned.push(String(data));
  window.learn = learn;
  // 403, a refused frame and a lost connection all end here.
  const settles = (element, events) => new Promise((done) => events.forEach((name) => element.addEventListener(name, done)));
  const load = (name, attributes, events = ['load', 'error']) => {
    const element = Object.assign(document.createElement(name), attributes);
    const settled = settles(element, events);
    document.body.append(element);
    return settled;
  };
  const reads = async (target, options) => {
    try {
      const response = await fetch(target, { credentials: 'include', ...options });
      if (response.type !== 'opaque') learn(await response.text());
    } catch { /* not for this page */ }
  };
  const socket = async (target) => {
    const socket = new WebSocket(target.replace('http', 'ws'));
    socket.onmessage = ({ data }) => learn(data);
    await settles(socket, ['message', 'close']);
  };
  const events = async (target, withCredentials) => {
    const source = new EventSource(target, { withCredentials });
    source.onmessage = ({ data }) => learn(data);
    await settles(source, ['message', 'error']);
    source.close();
  };
  const form = (target) => {
    const frame = `frame${count++}`;
    const settled = load('iframe', { name: frame }, ['load']);
    const post = Object.assign(document.createElement('form'), { action: target, method: 'POST', target: frame, enctype: 'text/plain' });
    document.body.append(post);
    return settled.then(() => {
      const answered = settles(document.querySelector(`[name=${frame}]`), ['load', 'error']);
      post.submit();
      return answered;
    });
  };

  await Promise.all([
    reads(`${url}/info`),
    socket(url), socket(`${url}/websocket`), socket(`${session()}/websocket`),
    ...['cors', 'no-cors'].flatMap((mode) => ['xhr', 'xhr_streaming'].map((way) => reads(`${session()}/${way}`, { method: 'POST', mode }))),
    reads(`${session()}/eventsource`, { mode: 'no-cors' }),
    events(`${session()}/eventsource`, true), events(`${session()}/eventsource`, false),
    load('script', { src: `${session()}/jsonp?c=learn` }),
    load('script', { src: `${session()}/jsonp?c=learn`, referrerPolicy: 'no-referrer' }),
    load('iframe', { src: `${session()}/htmlfile?c=learn` }),
    load('iframe', { src: `${session()}/jsonp?c=learn`, sandbox: 'allow-scripts' }),
    form(`${session()}/xhr`),
  ]);
  // A session of an id that the page has chosen, opened in one way and read in another.
  const chosen = session();
  await load('img', { src: `${chosen}/eventsource`, referrerPolicy: 'no-referrer' });
  await load('script', { src: `${chosen}/jsonp?c=learn` });
  await form(`${chosen}/xhr`);
  await load('script', { src: `${chosen}/jsonp?c=learn`, referrerPolicy: 'no-referrer' });
  await reads(`${chosen}/xhr`, { method: 'POST' });
  await events(`${chosen}/eventsource`, true);
  return learned;
}

// On localhost browsers send Sec-Fetch-Site, as they do over HTTPS; over plain HTTP they don't.
for (const [name, tells] of [['localhost', true], ['test', false]]) {
  describe(`a visitor of http://site.${name}`, () => {
    let backend;
    let pages;
    let closed;
    let listing;
    let browser;
    const places = () => [
      ['another site', `http://evil.${name}:${pages.port}`],
      ['another port', `http://site.${name}:${pages.port}`],
      ['a subdomain', `http://sub.site.${name}:${pages.port}`],
    ];
    const at = (server) => `http://site.${name}:${server.port}/app`;

    before(async () => {
      [backend, pages] = await Promise.all([startBackend(), startPages()]);
      const endpoint = ['--endpoint', `/app=upstream=${backend.url}`];
      const origins = [`http://evil.${name}:${pages.port}`, `http://site.${name}:${pages.port}`, `http://*.site.${name}:${pages.port}`];
      [closed, listing, browser] = await Promise.all([
        startSockeye({ args: endpoint }),
        startSockeye({ args: [...endpoint, ...origins.flatMap((origin) => ['--origin', origin])] }),
        launch({ args: ['--host-resolver-rules=MAP *.test 127.0.0.1'] }),
      ]);
    });
    after(async () => {
      await browser?.close();
      await Promise.all([closed?.kill(), listing?.kill()]);
      backend?.sockets.clients.forEach((client) => client.terminate());
      backend?.server.close();
      pages?.server.closeAllConnections();
      pages?.server.close();
    });

    /** A page of `place` in the visitor's browser, which runs `use`. */
    async function inPage(place, use, argument, { patient = true, info = false } = {}) {
      const context = await newContext(browser, { patient });
      const cookie = { name: 'visitor', value: '1', domain: `site.${name}`, path: '/' };
      await context.addCookies([tells ? { ...cookie, sameSite: 'None', secure: true } : cookie]);
      // What the page of the iframe transports loads.
      await context.route(/sockjs(\.min)?\.js/, (route) => route.fulfill({ contentType: 'text/javascript', body: clientSource('1.6.1') }));
      if (info) {
        // A client of ill will does not ask.
        await context.route(/\/app\/info/, (route) => route.fulfill({
          headers: { 'Access-Control-Allow-Origin': new URL(place).origin, 'Access-Control-Allow-Credentials': 'true' },
          json: { websocket: true, origins: ['*:*'], cookie_needed: true, entropy: 1 },
        }));
      }
      try {
        const page = await newPage(context);
        await page.goto(place);
        await page.addScriptTag({ content: clientSource('1.6.1') });
        return await page.evaluate(use, argument);
      } finally {
        await context.close();
      }
    }

    it('learns the secret on a page of the site itself', { timeout: LIMIT }, async () => {
      // Over plain HTTP the page of htmlfile sets `document.domain`, and is a stranger to this one then.
      const transports = OWN.filter((transport) => tells || transport !== 'htmlfile');
      const result = await inPage(at(closed), visit, { url: at(closed), transports });
      assert.deepEqual(result, transports.map((transport) => [transport, SECRET]));
    });

    for (const index of [0, 1, 2]) {
      for (const hidden of ['', '?hidden']) {
        const title = ['another site', 'another port', 'a subdomain'][index] + (hidden && ' that hides itself');

        it(`is safe from ${title}`, { timeout: 2 * LIMIT }, async () => {
          const page = `${places()[index][1]}/${hidden}`;
          const before = backend.sessions;
          // As sockjs-client does: one request to /info, which is refused.
          assert.deepEqual(
            await inPage(page, visit, { url: at(closed), transports: TRANSPORTS }, { patient: false }),
            TRANSPORTS.map((transport) => [transport, 1002]),
          );
          const forged = await inPage(page, visit, { url: at(closed), transports: TRANSPORTS }, { patient: false, info: true });
          assert.deepEqual(forged, TRANSPORTS.map((transport) => [transport, 2000]));
          assert.equal(backend.sessions, before, 'no session by any transport');

          const learned = await inPage(page, attack, { url: at(closed), turn: `${index}${hidden.length}` });
          assert.deepEqual(learned, []);
          // An image that hides its page over plain HTTP looks like a client that is no browser: it
          // opens a session, and nothing in the browser can read it.
          if (tells) assert.equal(backend.sessions, before, 'nor otherwise');
        });
      }

      it(`lets ${['another site', 'another port', 'a subdomain'][index]} in that is listed`, { timeout: LIMIT }, async () => {
        const result = await inPage(`${places()[index][1]}/`, visit, { url: at(listing), transports: TRANSPORTS });
        assert.deepEqual(result.map(([transport, heard]) => [transport, typeof heard]), TRANSPORTS.map((transport) => [transport, 'string']));
      });
    }
  });
}
