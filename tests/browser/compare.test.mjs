// The page /compare in Chromium: with nothing in the way it recommends WebSocket and
// names no fault; behind proxies that break things it names the broken thing.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { launch, LIMIT, newContext, newPage } from './support/chromium.mjs';
import { PASS_UPGRADE, startNginx } from './support/nginx.mjs';
import { startSockeye } from './support/server.mjs';

const TRANSPORTS = [
  'websocket', 'xhr-streaming', 'eventsource', 'htmlfile', 'xhr-polling', 'jsonp-polling',
  'iframe-eventsource', 'iframe-htmlfile', 'iframe-xhr-polling',
];
// A run has limits of its own; this one is for a machine that is busy with other things.
const RUN_LIMIT = 5 * LIMIT;
const MIB = 1024 * 1024;

describe('the page /compare', () => {
  let server;
  let browser;
  let endings = [];

  before(async () => {
    [server, browser] = await Promise.all([startSockeye(), launch()]);
  });
  afterEach(async () => {
    await Promise.all(endings.map((end) => end()));
    endings = [];
  });
  after(async () => {
    await browser?.close();
    await server?.kill();
  });

  async function open({ from = server, options, prepare, ...query } = {}) {
    const context = await newContext(browser, options);
    endings.push(() => context.close());
    const page = await newPage(context);
    await prepare?.(page);
    await page.goto(`${from.url}/compare?${new URLSearchParams({ idle: 2, ...query })}`);
    return page;
  }
  const behind = async (directives) => {
    const nginx = await startNginx({ port: server.port, ...directives });
    endings.push(() => nginx.stop());
    return nginx;
  };
  const start = (page) => page.locator('#start').click();
  const ended = (page, how = 'done') => page.locator(`#state[data-state=${how}]`).waitFor({ timeout: RUN_LIMIT });
  // The JSON that the page offers for a bug report.
  const report = async (page) => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#download').click()]);
    return JSON.parse(readFileSync(await download.path(), 'utf8'));
  };
  const runWhole = async (page) => {
    await start(page);
    await ended(page);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0, 'the page is too wide');
    assert.equal(await page.locator('.results').evaluate(({ parentNode }) => parentNode.scrollWidth - parentNode.clientWidth), 0, 'the table is too wide');
    return report(page);
  };
  const of = ({ results }, transport) => results.find((result) => result.transport === transport);
  // By the heads of their columns; figures and their units are kept on one line by another space.
  const cells = (page, transport) => page.locator(`[data-transport=${transport}]`).evaluate((row) =>
    Object.fromEntries(Array.from(row.cells).slice(1).map((cell) => [cell.dataset.head.replace(/^Idle.*/, 'Idle'), cell.textContent.replaceAll('\u00a0', ' ')])));
  const blamed = (page) => page.locator('#culprits .culprit').evaluateAll((cards) => cards.map((card) => card.dataset.cause));
  const tells = ({ results }) => JSON.stringify(results, (key, value) => (key === 'trips' || key === 'marks' ? value.length : value), 1);

  it('measures every transport, recommends WebSocket and blames nobody when nothing is in the way', { timeout: RUN_LIMIT }, async () => {
    const page = await open({ options: { viewport: { width: 360, height: 740 }, permissions: ['clipboard-read', 'clipboard-write'] } });
    const found = await runWhole(page);

    assert.deepEqual(found.results.map(({ transport }) => transport), TRANSPORTS);
    for (const { transport, opened, trips, traffic, stream, largest, refused, idle, failure } of found.results) {
      const context = `${transport}: ${tells(found)}`;
      assert.equal(failure, null, context);
      assert.ok(opened > 0 && trips.length > 0 && trips.every((trip) => trip > 0), context);
      assert.equal(stream?.how ?? 'none', /polling/.test(transport) ? 'none' : 'as sent', context);
      // Where the machine is too slow for the largest message, the page says so and names no fault.
      assert.ok(largest === MIB || refused.cause === 'late', context);
      assert.equal(idle.survived, true, context);
      // One request for each message sent; polls come on top. jsonp sends by a form, which no
      // browser lists.
      const requests = transport === 'websocket' ? 0 : /(?<!jsonp)-polling/.test(transport) ? 2 : 1;
      assert.equal(Math.round(traffic.requests), requests, context);
      assert.equal(traffic.bytes > 0, /polling/.test(transport), context);
    }
    assert.deepEqual(found.culprits, []);
    assert.equal(found.recommendation.transport, 'websocket');
    assert.match(await page.locator('#headline').textContent(), /websocket/);
    assert.equal(await page.locator('#culprits').isVisible(), false);

    const shown = await cells(page, 'xhr-polling');
    assert.deepEqual([shown.Result, shown.Stream, shown.Idle], ['works', 'no stream', '2 s']);
    assert.match(shown['Round trip'], /^[\d.]+ ms to [\d.]+ ms$/);
    assert.equal((await cells(page, 'websocket')).Bytes, 'not told');
    assert.match(await page.locator('#notes').textContent(), /lists no WebSockets.*of other sites is not told/s);
    assert.equal(await page.locator('#trips-picture .dot').count(), found.results.reduce((sum, { trips }) => sum + trips.length, 0));
    assert.equal(await page.locator('#streams-picture .arrived').count(), 12 * 6);

    await page.locator('#copy').click();
    await page.locator('#copied', { hasText: 'Copied' }).waitFor();
    const markdown = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(markdown.split('\n').filter((line) => line.startsWith('|')).length, 2 + TRANSPORTS.length);
    assert.match(markdown, /\| xhr-polling \| works \|/);
    assert.match(markdown, /\*\*Use websocket\.\*\*/);
    // The page asks for a session that opens slowly and gets a 404, which Chromium reports.
    assert.deepEqual(page.problems.filter((problem) => !/404/.test(problem)), []);
  });

  it('names the proxy that drops Upgrade, and its limit of request bodies', { timeout: RUN_LIMIT }, async () => {
    const nginx = await behind({});
    const page = await open({ from: nginx, transports: 'websocket,xhr-streaming,xhr-polling,jsonp-polling,iframe-xhr-polling' });
    const found = await runWhole(page);

    assert.deepEqual(of(found, 'websocket').failure, { step: 'open', cause: 'upgrade', closed: of(found, 'websocket').failure.closed, status: 400 }, tells(found));
    assert.deepEqual(await blamed(page), ['upgrade', 'size']);
    const card = await page.locator('[data-cause=upgrade]').textContent();
    assert.match(card, /Upgrade/);
    assert.match(card, /answered with status 400/);
    assert.match(await page.locator('[data-why=websocket]').textContent(), /Fails at opening.*drops the Upgrade header/);
    assert.equal((await cells(page, 'websocket')).Result, 'fails');
    assert.equal(of(found, 'xhr-polling').refused.status, 413, tells(found));
    assert.match(await page.locator('[data-why=iframe-xhr-polling]').textContent(), /1.MiB broke the session: status 413/);
    // A form in a frame does not learn whether its request succeeded.
    assert.equal(of(found, 'jsonp-polling').refused.cause, 'late');
    assert.equal((await cells(page, 'jsonp-polling')).Largest, '512 KiB 1 MiB: no echo');
    assert.equal(found.recommendation.transport, 'xhr-streaming');
    assert.match(await page.locator('#advice').textContent(), /Not websocket: Upgrade does not get through\..*xhr-polling/s);
    assert.match(await page.locator('#code').textContent(), /transports: \['xhr-streaming', 'xhr-polling'\]/);
  });

  it('names the proxy that buffers', { timeout: RUN_LIMIT }, async () => {
    // Towards the server nginx speaks HTTP/1.0 by default, and then holds a response back until a
    // buffer is full: here none is, before the end.
    const nginx = await behind({
      beside: `location ~ /websocket$ { proxy_pass http://127.0.0.1:${server.port}; ${PASS_UPGRADE} }`,
      location: `proxy_http_version 1.0; client_max_body_size 0; proxy_ignore_headers X-Accel-Buffering;
        proxy_buffer_size 512k; proxy_buffers 8 512k; proxy_busy_buffers_size 1m;`,
    });
    const page = await open({ from: nginx, transports: 'websocket,xhr-streaming,eventsource,htmlfile,xhr-polling,iframe-eventsource' });
    const found = await runWhole(page);

    for (const transport of ['xhr-streaming', 'eventsource', 'htmlfile', 'iframe-eventsource']) {
      assert.equal(of(found, transport).failure?.cause, 'buffering', `${transport}: ${tells(found)}`);
      assert.equal((await cells(page, transport)).Stream, 'held back');
    }
    for (const transport of ['websocket', 'xhr-polling']) assert.equal(of(found, transport).failure, null, tells(found));
    assert.deepEqual(await blamed(page), ['buffering']);
    assert.match(await page.locator('[data-cause=buffering]').textContent(), /as soon as the response ended.*buffering proxy.*proxy_buffering off/s);
    assert.equal(await page.locator('#streams-picture .held').count(), 4);
    assert.deepEqual(found.recommendation.transports, ['websocket', 'xhr-polling']);
  });

  it('names blocked frames', { timeout: RUN_LIMIT }, async () => {
    const nginx = await behind({
      beside: `location = /echo/iframe.html { proxy_pass http://127.0.0.1:${server.port}; add_header X-Frame-Options DENY; }`,
    });
    // sockjs-client's own limits: it gives a frame two seconds, and here none comes.
    const page = await open({ from: nginx, options: { patient: false }, transports: 'xhr-polling,iframe-xhr-polling' });
    const found = await runWhole(page);
    assert.equal(of(found, 'iframe-xhr-polling').failure?.cause, 'frames', tells(found));
    assert.ok((await blamed(page)).includes('frames'));
    assert.match(await page.locator('[data-cause=frames]').textContent(), /the hidden frame.*third-party cookies/s);
    assert.equal(found.recommendation.transport, 'xhr-polling');
  });

  it('names a content-security policy and its directive', { timeout: RUN_LIMIT }, async () => {
    const nginx = await behind({
      location: (port) => `${PASS_UPGRADE} proxy_hide_header Content-Security-Policy;
        add_header Content-Security-Policy "default-src 'self'; connect-src http://127.0.0.1:${port}/echo/ http://127.0.0.1:${port}/endpoints.json; frame-src 'none'";`,
    });
    const page = await open({ from: nginx, transports: 'websocket,xhr-polling,iframe-xhr-polling', options: { patient: false } });
    const found = await runWhole(page);
    const { cause, directive } = of(found, 'websocket').failure ?? {};
    assert.deepEqual([cause, directive], ['policy', 'connect-src'], tells(found));
    assert.deepEqual(of(found, 'iframe-xhr-polling').failure?.directive, 'frame-src', tells(found));
    assert.match(await page.locator('[data-cause=policy]').textContent(), /connect-src/);
  });

  it('names what cuts silent connections, and after how long', { timeout: RUN_LIMIT }, async () => {
    const nginx = await behind({ location: `${PASS_UPGRADE} proxy_read_timeout 6s;` });
    const page = await open({ from: nginx, transports: 'websocket', idle: 10 });
    const found = await runWhole(page);
    assert.equal(of(found, 'websocket').idle.how, 'closed', tells(found));
    assert.deepEqual(await blamed(page), ['silence']);
    assert.match((await cells(page, 'websocket')).Idle, /^cut after \d+ s$/);
    assert.match(await page.locator('[data-cause=silence]').textContent(), /heartbeat_delay/);
  });

  it('stops when it is told to, keeps what it has, and starts again', { timeout: RUN_LIMIT }, async () => {
    const page = await open({ transports: 'websocket,xhr-polling', idle: 600 });
    const sockets = [];
    page.on('websocket', (socket) => sockets.push(socket));
    await start(page);
    // The silence would last for ten minutes.
    await page.locator('#state', { hasText: 'in silence' }).waitFor({ timeout: RUN_LIMIT });
    await page.locator('#stop').click();
    await ended(page, 'stopped');
    assert.ok(sockets.length > 1);
    await Promise.all(sockets.filter((socket) => !socket.isClosed()).map((socket) => socket.waitForEvent('close', { timeout: LIMIT })));
    const found = await report(page);
    assert.equal(found.ended, 'stopped');
    assert.equal(found.recommendation.transport, 'websocket');
    assert.deepEqual(found.results.map(({ idle }) => idle), [null, null]);
    assert.equal(await page.locator('#progress').isVisible(), false);

    await start(page);
    await page.locator('#state[data-state=running]').waitFor();
    assert.equal(await page.locator('#advice').isVisible(), false);
    await page.locator('#stop').click();
    await ended(page, 'stopped');
  });

  it('says what to do when it cannot begin', { timeout: RUN_LIMIT }, async () => {
    const nowhere = await open({ endpoint: '/nowhere' });
    await start(nowhere);
    await ended(nowhere, 'failed');
    assert.match(await nowhere.locator('#error').textContent(), /status 404 at \/nowhere\/info/);

    const without = await open({ prepare: (page) => page.route(/\/sockjs[^/]*\.js$/, (route) => route.abort()) });
    await start(without);
    assert.match(await without.locator('#error').textContent(), /client library did not load/);
  });

  it('tells lumps from messages that were sent together', { timeout: LIMIT }, async () => {
    const page = await open();
    const inLumps = (marks) => page.evaluate((marks) => window.Compare.inLumps(marks, 100), marks);
    const even = Array.from({ length: 12 }, (_, index) => index * 100);
    assert.equal(await inLumps(even.map((sent) => [sent, sent + 20])), false);
    assert.equal(await inLumps(even.map((sent) => [sent, Math.ceil((sent + 1) / 400) * 400])), true, 'passed on every 400 ms');
    assert.equal(await inLumps(even.map((sent) => [sent, 1200])), true, 'passed on at the end');
    assert.equal(await inLumps(even.map(() => [1100, 1120])), false, 'sent together by a page that had stood still');
  });
});
