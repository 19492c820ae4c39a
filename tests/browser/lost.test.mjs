// Connections that are lost without a sign, in Chromium: a network forgets them, and neither bytes
// nor an end come through any more. Messages typed meanwhile arrive once, and pictures move again.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Callers, connections, FAKE_MEDIA, hears, inState, notices, say, sees } from './support/calls.mjs';
import { launch, LIMIT, newContext, newPage } from './support/chromium.mjs';
import { startLine } from './support/line.mjs';
import { startSockeye } from './support/server.mjs';

const LOST = /^No answer for \d+ s; reconnecting…$/;

describe('a connection that is lost without a sign', () => {
  let eager; // its heartbeats are due every second
  let sparing; // and here none is due before the test is over
  let browser;
  let callers;
  let contexts = [];
  let lines = [];

  before(async () => {
    [eager, sparing, browser] = await Promise.all([
      startSockeye({ args: ['--heartbeat-delay', '1'] }),
      startSockeye({ args: ['--heartbeat-delay', '600'] }),
      launch(FAKE_MEDIA),
    ]);
    callers = new Callers(browser);
  });
  afterEach(async () => {
    await callers.close();
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    await Promise.all(lines.splice(0).map((line) => line.stop()));
  });
  after(async () => {
    await browser?.close();
    await eager?.kill();
    await sparing?.kill();
  });

  async function lineTo(server) {
    const line = await startLine(server.port);
    lines.push(line);
    return line;
  }
  // All texts that an element has shown, the last among them.
  const record = (page, selector) => page.evaluate((selector) => {
    const element = document.querySelector(selector);
    const texts = window.texts = [element.textContent];
    new MutationObserver(() => texts.push(element.textContent)).observe(element, { childList: true, characterData: true, subtree: true });
  }, selector);
  const recorded = (page) => page.evaluate(() => window.texts);
  const hasSaid = (page, pattern) => page.waitForFunction((source) => window.texts.some((text) => new RegExp(source).test(text)), pattern.source);

  describe('of the chat page', () => {
    const joined = async (page) => {
      await page.locator('#state[data-state=open]').waitFor();
      await page.locator('#people:not(.stale) .you').waitFor();
      return page;
    };
    const arrive = async (name, url, { prepare, ...query } = {}) => {
      const context = await newContext(browser);
      contexts.push(context);
      const page = await newPage(context);
      await prepare?.(page);
      await page.goto(`${url}/chat?${new URLSearchParams({ name, ...query })}`);
      return joined(page);
    };
    const heard = (page) => page.locator('#log .text').allTextContents();
    const settled = (page) => page.locator('#outbox:empty').waitFor({ state: 'attached' });

    for (const transport of ['websocket', 'xhr-streaming', 'xhr-polling']) {
      it(`loses nothing that was typed over ${transport}, and shows it once`, { timeout: LIMIT }, async () => {
        const line = await lineTo(eager);
        const ann = await arrive('ann', eager.url, { room: transport });
        const bo = await arrive('bo', line.url, { room: transport, transport });
        await say(bo, 'before');
        await hears(bo, 'before');
        await record(bo, '#error');
        line.lose();
        await say(bo, 'one');
        await say(bo, 'two');
        await bo.locator('#outbox .sent', { hasText: 'Sending…' }).nth(1).waitFor();
        await say(ann, 'meanwhile');
        await hears(ann, 'meanwhile');
        await hasSaid(bo, LOST);
        await joined(bo);
        await hears(bo, 'two');
        await settled(bo);
        await hears(ann, 'two');
        for (const page of [ann, bo]) assert.deepEqual(await heard(page), ['before', 'meanwhile', 'one', 'two']);
        assert.equal(await bo.locator('#error').textContent(), '');
        assert.deepEqual([...ann.problems, ...bo.problems], []);
      });
    }

    // The page sees the same as above: only the ids tell the two cases apart.
    it('says nothing twice that did arrive', { timeout: LIMIT }, async () => {
      const line = await lineTo(eager);
      const ann = await arrive('ann', eager.url, { room: 'arrived' });
      const bo = await arrive('bo', line.url, { room: 'arrived', transport: 'websocket' });
      await record(bo, '#error');
      line.lose({ onlyToPage: true });
      await say(bo, 'one');
      await hears(ann, 'one');
      await bo.locator('#outbox .sent', { hasText: 'one' }).waitFor();
      await hasSaid(bo, LOST);
      await joined(bo);
      await settled(bo);
      await say(bo, 'two');
      for (const page of [ann, bo]) {
        await hears(page, 'two');
        assert.deepEqual(await heard(page), ['one', 'two']);
      }
    });

    for (const [event, dispatch] of Object.entries({
      online: () => window.dispatchEvent(new Event('online')),
      visibilitychange: () => document.dispatchEvent(new Event('visibilitychange')),
    })) {
      it(`is noticed at ${event}, long before a heartbeat is due`, { timeout: LIMIT }, async () => {
        const line = await lineTo(sparing);
        const bo = await arrive('bo', line.url, { room: event });
        await record(bo, '#error');
        line.lose();
        await bo.evaluate(dispatch);
        await hasSaid(bo, LOST);
        await bo.locator('#state[data-state=open]').waitFor();
      });
    }

    it('is noticed when what was said is followed by nothing', { timeout: LIMIT }, async () => {
      const line = await lineTo(sparing);
      const bo = await arrive('', line.url, { room: 'nothing' });
      line.lose();
      await say(bo, 'hello?');
      await hears(bo, 'hello?');
      await settled(bo);
      assert.deepEqual(await heard(bo), ['hello?']);
    });

    // Its timers are due all at once when it wakes, before it has read the messages that came
    // meanwhile.
    it('is not taken for granted by a page that has slept', { timeout: LIMIT }, async () => {
      const bo = await arrive('bo', eager.url, { room: 'sleep', prepare: (page) => page.clock.install() });
      await record(bo, '#state');
      await bo.clock.fastForward(300_000);
      await say(bo, 'awake');
      await hears(bo, 'awake');
      assert.deepEqual(await recorded(bo), ['Connected']);
    });
  });

  describe('of the call page', () => {
    const see = ([ann, bo]) => Promise.all([sees(ann, 'Bo'), sees(bo, 'Ann')]);
    const arriveBoth = async (server, options) => {
      const line = await lineTo(server);
      const room = callers.newRoom();
      const ann = await callers.arrive('Ann', { at: line.url, room, ...options });
      const bo = await callers.arrive('Bo', { at: server.url, room });
      await see([ann, bo]);
      await record(ann, '#state');
      return { line, pages: [ann, bo], ann, bo };
    };

    for (const transport of ['websocket', 'xhr-streaming']) {
      it(`comes back over ${transport}, and pictures never stop`, { timeout: LIMIT }, async () => {
        const { line, pages, ann } = await arriveBoth(eager, { transport });
        line.lose();
        await hasSaid(ann, LOST);
        await inState(ann, 'in');
        await see(pages);
        for (const page of pages) assert.equal(await connections(page), 1);
      });
    }

    it('comes back when its seat is gone, and pictures move again', { timeout: 2 * LIMIT }, async () => {
      const { line, pages, ann, bo } = await arriveBoth(eager);
      line.lose();
      line.refuse();
      await notices(bo, 'Ann has left.');
      line.mend();
      await notices(ann, 'joined anew');
      await inState(ann, 'in');
      await see(pages);
    });

    for (const [event, dispatch] of Object.entries({
      online: () => window.dispatchEvent(new Event('online')),
      visibilitychange: () => document.dispatchEvent(new Event('visibilitychange')),
      'a failed path': () => {
        const [connection] = window.connections;
        Object.defineProperty(connection, 'iceConnectionState', { configurable: true, get: () => 'failed' });
        connection.dispatchEvent(new Event('iceconnectionstatechange'));
        delete connection.iceConnectionState;
      },
    })) {
      it(`is noticed at ${event}, long before a heartbeat is due`, { timeout: LIMIT }, async () => {
        const { line, pages, ann } = await arriveBoth(sparing);
        line.lose();
        await ann.evaluate(dispatch);
        await hasSaid(ann, LOST);
        await inState(ann, 'in');
        await see(pages);
        for (const page of pages) assert.equal(await connections(page), 1);
      });
    }
  });
});
