// Sub-protocols in Chromium, which fails a WebSocket whose answer names none of those that it asked
// for.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch, LIMIT, newContext, newPage } from './support/chromium.mjs';
import { startConformance, startSockeye } from './support/server.mjs';

describe('a WebSocket of Chromium with sub-protocols', () => {
  let server;
  let browser;
  let page;

  before(async () => {
    [server, browser] = await Promise.all([startConformance(), launch()]);
    page = await newPage(await newContext(browser));
    await page.goto(server.url);
  });
  after(async () => {
    await browser?.close();
    await server?.kill();
  });

  /** The protocol that the socket has, with the first text that is none of SockJS's frames; or its close code. */
  const opened = (path, protocols, at = server) => page.evaluate(([url, protocols]) => new Promise((resolve) => {
    const socket = new WebSocket(url, protocols);
    socket.onmessage = ({ data }) => {
      if (data === 'o') return;
      resolve([socket.protocol, data]);
      socket.close();
    };
    socket.onclose = ({ code }) => resolve(code);
  }), [at.url.replace('http', 'ws') + path, protocols]);

  for (const [path, framed] of [['/subprotocol', (text) => text], ['/subprotocol/0/ID/websocket', (text) => `a["${text}"]`]]) {
    it(`at ${path} has the first of its list that the endpoint speaks`, { timeout: LIMIT }, async () => {
      assert.deepEqual(await opened(path.replace('ID', 'a'), ['v3.echo', 'v2.echo', 'v1.echo']), ['v2.echo', framed('v2.echo')]);
      assert.deepEqual(await opened(path.replace('ID', 'b'), ['v1.echo', 'v2.echo']), ['v1.echo', framed('v1.echo')]);
      assert.deepEqual(await opened(path.replace('ID', 'c'), []), ['', framed('none')]);
    });
  }

  it('is failed when they share none, and the session ends', { timeout: LIMIT }, async () => {
    assert.equal(await opened('/subprotocol', ['v3.echo']), 1006);
    const logging = await startSockeye();
    try {
      for (const [path, transport] of [['/echo', 'rawwebsocket'], ['/echo/0/d/websocket', 'websocket']]) {
        assert.equal(await opened(path, ['v3.echo'], logging), 1006, path);
        // A browser can't tell that the session has ended, but a line of the log does.
        const end = new RegExp(`session ended .*transport="?${transport}"? .*reason=1002`);
        while (!end.test(logging.output())) await new Promise((resolve) => setTimeout(resolve, 10));
      }
    } finally {
      await logging.kill();
    }
  });
});
