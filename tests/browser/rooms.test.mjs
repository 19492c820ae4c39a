// The page of rooms follows changes by itself, and says so when it no longer can.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { launch, LIMIT, newContext, newPage } from './support/chromium.mjs';
import { startSockeye } from './support/server.mjs';

const INTERVAL = 5_000; // ms, as in the page

describe('the page of rooms', () => {
  let server;
  let browser;
  let contexts = [];

  before(async () => {
    [server, browser] = await Promise.all([startSockeye(), launch()]);
  });
  afterEach(async () => {
    await Promise.all(contexts.map((context) => context.close()));
    contexts = [];
  });
  after(async () => {
    await browser?.close();
    await server?.kill();
  });

  /** With a clock that the test winds on, so that nothing waits. */
  async function open(path = '/rooms', options) {
    const context = await newContext(browser, options);
    contexts.push(context);
    const page = await newPage(context);
    await page.clock.install();
    await page.goto(server.url + path);
    await page.locator('#fresh.open').waitFor();
    return page;
  }
  const create = (page, id) => page.request.post(`${server.url}/room`, { form: { id } });
  const numbers = (page) => page.locator('#list b').allTextContents();
  const refreshed = async (page, act) => {
    const [answer] = await Promise.all([page.waitForResponse(`${server.url}/rooms`), act()]);
    await answer.finished();
  };

  it('shows a room that comes, and keeps what is typed and what has the focus', { timeout: LIMIT }, async () => {
    const page = await open();
    assert.deepEqual(await numbers(page), []);
    assert.equal(await page.locator('#list-title').textContent(), 'No rooms yet');
    await create(page, 7);
    await page.locator('#id').fill('12');
    await refreshed(page, () => page.clock.runFor(INTERVAL));
    await page.locator('#list b', { hasText: /^7$/ }).waitFor();
    assert.equal(await page.locator('#list-title').textContent(), '1 room');
    assert.equal(await page.locator('#id').inputValue(), '12');

    await page.locator('#list a').focus();
    await create(page, 3);
    await refreshed(page, () => page.clock.runFor(INTERVAL));
    await page.locator('#list b', { hasText: /^3$/ }).waitFor();
    assert.deepEqual(await numbers(page), ['3', '7']);
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('href')), '/call?room=7');

    // Nothing has changed, so nothing is replaced.
    await page.evaluate(() => { document.querySelector('#list').kept = true; });
    await refreshed(page, () => page.clock.runFor(INTERVAL));
    await refreshed(page, () => page.clock.runFor(INTERVAL));
    assert.equal(await page.evaluate(() => document.querySelector('#list').kept), true);
    assert.deepEqual(page.problems, []);
  });

  it('says since when it is out of date and why, and comes back', { timeout: 2 * LIMIT }, async () => {
    const page = await open();
    await page.route(`${server.url}/rooms`, (route) => route.fulfill({ status: 502, body: 'no' }));
    await page.clock.runFor(INTERVAL);
    await page.locator('#fresh.waiting', { hasText: /The list is from \d\d:\d\d:\d\d: the server answered with status 502\. Trying again/ }).waitFor();
    await page.unroute(`${server.url}/rooms`);

    const { port } = server;
    await server.kill();
    await page.locator('#fresh-again').click();
    await page.locator('#fresh.waiting', { hasText: 'the server does not answer' }).waitFor();
    server = await startSockeye({ port });
    await create(page, 9);
    await page.locator('#fresh-again').click();
    await page.locator('#fresh.open', { hasText: 'Up to date' }).waitFor();
    assert.equal(await page.locator('#fresh-again').isVisible(), false);
    await page.locator('#list b', { hasText: /^9$/ }).waitFor();

    // And the page does so by itself, at the next attempt.
    await page.route(`${server.url}/rooms`, (route) => route.abort());
    await page.clock.runFor(INTERVAL);
    await page.locator('#fresh.waiting').waitFor();
    await page.unroute(`${server.url}/rooms`);
    await page.clock.runFor(2 * INTERVAL);
    await page.locator('#fresh.open').waitFor();
  });

  it('asks for nothing while it is hidden', { timeout: LIMIT }, async () => {
    const page = await open();
    let asked = 0;
    page.on('request', () => { asked += 1; });
    const hide = (hidden) => page.evaluate((hidden) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
    await hide(true);
    await page.clock.runFor(10 * INTERVAL);
    assert.equal(asked, 0);
    await refreshed(page, () => hide(false));
    assert.equal(asked, 1);
  });

  it('says in words for people what went wrong', { timeout: LIMIT }, async () => {
    const page = await open('/rooms', { viewport: { width: 320, height: 640 } });
    for (const [path, pattern] of [
      ['/room/99', /^There is no room 99\. Press “Create it”/],
      ['/room/weir', /^A room has a number from 0 to \d+, in digits only\. Press “Random one”/],
      ['/room/7/user/', /^A name has up to 64 characters/],
      ['/room/7/nothing', /^There is no page here/],
      ['/room', /^Rooms are created with the form below/],
    ]) {
      await page.goto(server.url + path);
      const text = await page.locator('.trouble').textContent();
      assert.match(text, pattern);
      assert.doesNotMatch(text, /`|integer|POST|\bid\b/);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0);
    }
  });
});
