// Call pages written for other servers: two send {event, data} through a relay, and one knows rooms
// and a single peer. Each calls its like, and the last calls the call page as well.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { Callers, connections, FAKE_MEDIA, hears, moves, notices, say, sees } from './support/calls.mjs';
import { launch, LIMIT } from './support/chromium.mjs';
import { clientSource } from './support/clients.mjs';
import { startSockeye } from './support/server.mjs';

const fixture = (name) => readFileSync(new URL(`fixtures/${name}`, import.meta.url), 'utf8');
const HTML = 'text/html; charset=utf-8';
const JAVASCRIPT = 'text/javascript; charset=utf-8';

describe('callers of old', () => {
  let server;
  let browser;
  let callers;

  before(async () => {
    [server, browser] = await Promise.all([startSockeye(), launch(FAKE_MEDIA)]);
    callers = new Callers(browser, server.url);
  });
  afterEach(() => callers.close());
  after(async () => {
    await browser?.close();
    await server?.kill();
  });

  // A page on the gateway's origin, with the files that it asks for at their paths.
  async function visit(path, files) {
    const page = await callers.newPage();
    for (const [url, contentType, body] of files) {
      await page.route(`${server.url}${url}`, (route) => route.fulfill({ contentType, body }));
    }
    await page.goto(server.url + path);
    return page;
  }

  const openEventPage = async (connection) => {
    const page = await visit('/peer', [
      ['/peer', HTML, fixture('events.html')],
      ['/js/events.js', JAVASCRIPT, fixture('events.js').replace('CONNECTION', connection)],
      ['/sockjs.js', JAVASCRIPT, clientSource('1.6.1')],
    ]);
    await page.waitForFunction(() => window.peerConnection);
    return page;
  };

  for (const prefix of ['/socket', '/signal']) {
    const sockjs = (transport) => `new SockJS('${prefix}', null, { transports: '${transport}' })`;
    for (const [name, connection] of [
      ['WebSocket', () => `new WebSocket('ws://127.0.0.1:${server.port}${prefix}')`],
      ...['websocket', 'xhr-streaming', 'xhr-polling'].map((transport) => [`SockJS and ${transport}`, () => sockjs(transport)]),
    ]) {
      it(`call each other through ${prefix} over ${name}`, { timeout: LIMIT }, async () => {
        const [caller, callee] = [await openEventPage(connection()), await openEventPage(connection())];
        await caller.evaluate(() => createOffer());
        for (const [from, to] of [[caller, callee], [callee, caller]]) {
          await from.waitForFunction(() => dataChannel.readyState === 'open' && dataChannel !== null);
          await to.waitForFunction(() => dataChannel.readyState === 'open');
        }
        await caller.evaluate(() => sendMessage('hello'));
        await callee.waitForFunction(() => received.includes('hello'));
        await callee.evaluate(() => sendMessage('hello yourself'));
        await caller.waitForFunction(() => received.includes('hello yourself'));
        for (const page of [caller, callee]) {
          assert.deepEqual(await page.evaluate(() => failures), []);
          assert.deepEqual(page.problems, []);
        }
      });
    }
  }

  const openRoomPage = (room) => visit(`/room/${room}/user`, [
    [`/room/${room}/user`, HTML, fixture('s5.html').replace('ROOM', room)],
    ['/js/s5.js', JAVASCRIPT, fixture('s5.js')],
  ]);
  const told = (page) => page.waitForFunction(() => heard.find(({ type }) => type === 'join')?.data).then((data) => data.jsonValue());
  const remote = (page) => page.locator('#remote_video');

  it('call each other in a room', { timeout: LIMIT }, async () => {
    const room = callers.newRoom();
    const first = await openRoomPage(room);
    assert.equal(await told(first), 'false');
    const second = await openRoomPage(room);
    assert.equal(await told(second), 'true');
    await Promise.all([moves(remote(first)), moves(remote(second))]);
    for (const page of [first, second]) {
      assert.equal(await connections(page), 1);
      assert.deepEqual(page.problems, []);
    }
    await second.locator('#exit').click();
    await first.reload();
    assert.equal(await told(first), 'false');
  });

  // The first participant waits, the later offers. The old page gets what it needs and the new page
  // does not: candidates only after their description, one peer, no roster.
  it('are called by the call page', { timeout: LIMIT }, async () => {
    const room = callers.newRoom();
    const old = await openRoomPage(room);
    assert.equal(await told(old), 'false');
    const user = await old.evaluate(() => user);
    const ann = await callers.arrive('Ann', { room });
    await Promise.all([sees(ann, user), moves(remote(old))]);
    await say(ann, 'Hello from the new page');
    await old.waitForFunction(() => heard.some(({ type, data }) => type === 'text' && data === 'Hello from the new page'));
    await ann.locator('#log .fate', { hasText: 'through the server' }).waitFor();
    await old.evaluate(() => send({ from: user, type: 'text', data: 'Hello from the old one' }));
    await hears(ann, 'Hello from the old one');
    await old.locator('#exit').click();
    await notices(ann, `${user} has left.`);
    assert.deepEqual([...old.problems, ...ann.problems], []);
  });

  it('call the call page', { timeout: LIMIT }, async () => {
    const room = callers.newRoom();
    const ann = await callers.arrive('Ann', { room });
    const old = await openRoomPage(room);
    assert.equal(await told(old), 'true');
    const user = await old.evaluate(() => user);
    await Promise.all([sees(ann, user), moves(remote(old))]);
    assert.equal(await connections(ann), 1);

    await old.reload();
    await notices(ann, /is back|has joined/);
    await Promise.all([sees(ann, user), moves(remote(old))]);
    assert.equal(await ann.locator('#tiles .tile').count(), 2);
    assert.deepEqual([...old.problems, ...ann.problems], []);
  });
});
