// The npm package `ws` behind the gateway, and sockjs-client in front of it: neither knows of the
// other.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, it } from 'node:test';
import SockJS from 'sockjs-client';
import { WebSocket, WebSocketServer } from 'ws';
import { exchange, NASTY } from './support/exchange.mjs';
import { startSockeye } from './support/server.mjs';

// See `patientClient` in support/chromium.mjs.
SockJS.prototype.countRTO = () => 20_000;

const LIMIT = 60_000;
const TRANSPORTS = ['xhr-polling', 'xhr-streaming', 'eventsource', 'websocket'];
const NAMES = { 'xhr-polling': 'xhr', 'xhr-streaming': 'xhr_streaming', eventsource: 'eventsource', websocket: 'websocket' };
/** The texts that fit into a message by default. */
const SMALL = NASTY.filter((text) => Buffer.byteLength(text) <= 64 * 1024);

/** A backend as its authors would write it, and the commands that its clients have. */
function startBackend() {
  const backend = new WebSocketServer({ noServer: true });
  backend.requests = [];
  backend.closes = [];
  backend.on('connection', (socket, request) => {
    backend.requests.push(request);
    socket.on('message', (data, isBinary) => {
      assert.equal(isBinary, false);
      const text = String(data);
      const [command, ...rest] = text.split(' ');
      if (command === 'close!') socket.close(Number(rest[0]), rest.slice(1).join(' '));
      else if (command === 'vanish!') socket.terminate();
      else if (command === 'bytes!') socket.send(Buffer.from([1, 2, 3]));
      else socket.send(text);
    });
    socket.on('close', (code, reason) => {
      backend.closes.push({ code, reason: String(reason) });
      backend.emit('gone');
    });
  });

  const http = createServer();
  http.on('upgrade', (request, stream, head) => {
    const url = new URL(request.url, 'ws://backend');
    if (url.searchParams.has('refuse')) {
      stream.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    setTimeout(
      () => backend.handleUpgrade(request, stream, head, (socket) => backend.emit('connection', socket, request)),
      Number(url.searchParams.get('wait') ?? 0),
    );
  });
  return new Promise((resolve) => {
    http.listen(0, '127.0.0.1', () => resolve(Object.assign(backend, { http, port: http.address().port })));
  });
}

/** Opens a session, sends `text`, and resolves with how the session ends. */
function endOf(url, transport, text) {
  return new Promise((resolve) => {
    const sock = new SockJS(url, null, { transports: [transport] });
    const heard = [];
    sock.onopen = () => text && sock.send(text);
    sock.onmessage = (event) => heard.push(event.data);
    sock.onclose = ({ code, reason }) => resolve({ code, reason, heard });
  });
}

describe('a backend that uses ws, behind the gateway', () => {
  let backend;
  let sockeye;

  before(async () => {
    backend = await startBackend();
    const at = `ws://127.0.0.1:${backend.port}`;
    const endpoints = [`/up=upstream=${at}/app?key=1`, `/refused=upstream=${at}/?refuse`, `/slow=upstream=${at}/?wait=500`];
    sockeye = await startSockeye({ args: ['--origin', 'http://page.example', ...endpoints.flatMap((endpoint) => ['--endpoint', endpoint])] });
  });
  after(async () => {
    await sockeye?.kill();
    backend?.clients.forEach((client) => client.terminate());
    backend?.http.close();
  });

  for (const transport of TRANSPORTS) {
    it(`echoes every text over ${transport}`, { timeout: LIMIT }, async () => {
      const result = await exchange(SockJS, { url: `${sockeye.url}/up`, transport, messages: SMALL });
      assert.deepEqual(result, { transport, count: SMALL.length, wrong: [], closed: null });
      const request = backend.requests.at(-1);
      assert.equal(request.headers['x-sockeye-transport'], NAMES[transport]);
      assert.equal(request.headers['x-forwarded-for'], '127.0.0.1');
      assert.equal(new URL(request.url, 'ws://backend').searchParams.get('key'), '1');
    });

    it(`keeps the order of many messages over ${transport}`, { timeout: LIMIT }, async () => {
      // As many messages as a payload may hold: the client sends them all in one.
      const messages = Array.from({ length: 1_024 }, (_, at) => `${at} ${'y'.repeat(at % 100)}`);
      const result = await exchange(SockJS, { url: `${sockeye.url}/up`, transport, messages });
      assert.deepEqual(result, { transport, count: messages.length, wrong: [], closed: null });
    });

    it(`keeps what is said before the backend answers over ${transport}`, { timeout: LIMIT }, async () => {
      const result = await exchange(SockJS, { url: `${sockeye.url}/slow`, transport, messages: SMALL });
      assert.deepEqual(result, { transport, count: SMALL.length, wrong: [], closed: null });
    });

    it(`hands the backend's code and reason on over ${transport}`, { timeout: LIMIT }, async () => {
      const url = `${sockeye.url}/up`;
      assert.deepEqual(await endOf(url, transport, 'close! 4321 안녕히'), { code: 4321, reason: '안녕히', heard: [] });
      assert.deepEqual(await endOf(url, transport, 'vanish!'), { code: 1011, reason: 'backend gone: no close frame', heard: [] });
      assert.deepEqual(
        await endOf(url, transport, 'bytes!'),
        { code: 1003, reason: 'the backend sent binary, which this transport does not carry', heard: [] },
      );
      assert.deepEqual(
        await endOf(`${sockeye.url}/refused`, transport),
        { code: 1011, reason: 'backend refused: 401 Unauthorized', heard: [] },
      );
    });

    it(`tells the backend when the client goes over ${transport}`, { timeout: LIMIT }, async () => {
      backend.closes.length = 0;
      const gone = once(backend, 'gone');
      const sock = new SockJS(`${sockeye.url}/up`, null, { transports: [transport] });
      sock.onopen = () => sock.send('hello');
      sock.onmessage = () => sock.close();
      await gone;
      assert.deepEqual(backend.closes, [{ code: 1001, reason: 'client gone' }]);
    });
  }

  // Messages of a plain WebSocket arrive as they are: no SockJS on either side.
  it('tells the backend why a plain WebSocket goes', { timeout: LIMIT }, async () => {
    backend.closes.length = 0;
    const gone = once(backend, 'gone');
    const socket = new WebSocket(`${sockeye.url.replace('http', 'ws')}/up?room=7`, {
      headers: { Cookie: 'id=secret', Origin: 'http://page.example' },
    });
    await once(socket, 'open');
    socket.send('hello');
    const [data] = await once(socket, 'message');
    assert.equal(String(data), 'hello');
    socket.close(4001, 'bye');
    await gone;
    assert.deepEqual(backend.closes, [{ code: 4001, reason: 'bye' }]);
    const request = backend.requests.at(-1);
    assert.equal(request.url, '/app?key=1&room=7');
    assert.equal(request.headers.cookie, 'id=secret');
    assert.equal(request.headers.origin, 'http://page.example');
  });
});
