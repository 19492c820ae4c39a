// The chat page in Chromium: members on different transports, and the page when
// something between it and the server fails.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { launch, LIMIT, newContext, newPage } from './support/chromium.mjs';
import { startSockeye } from './support/server.mjs';

const TRANSPORTS = [
  'websocket', 'xhr-streaming', 'eventsource', 'iframe-eventsource', 'htmlfile', 'iframe-htmlfile',
  'xhr-polling', 'iframe-xhr-polling', 'jsonp-polling',
];
const CLIENT = /\/sockjs[^/]*\.js$/;

describe('the chat page', () => {
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

  async function open({ without, patient, prepare, ...query } = {}) {
    const context = await newContext(browser, { without, patient });
    contexts.push(context);
    const page = await newPage(context);
    await prepare?.(page);
    await page.goto(`${server.url}/chat?${new URLSearchParams(query)}`);
    return page;
  }
  const state = (page, name) => page.locator(`#state[data-state=${name}]`).waitFor();
  // A page has joined when the server has sent it the list of members.
  const joined = async (page, name) => {
    await state(page, 'open');
    const me = page.locator('#people:not(.stale) .you', { hasText: new RegExp(`^.?${name} \\(you\\)$`, 'u') });
    await me.waitFor().catch(async (error) => {
      const shown = await page.locator('main').innerText();
      throw new Error(`${name} is not in the room.\nThe page: ${shown}\nThe server: ${server.output()}`, { cause: error });
    });
    return page;
  };
  const arrive = async (name, options = {}) => joined(await open({ name, ...options }), name);
  const say = async (page, text) => {
    await page.locator('#message').fill(text);
    await page.locator('#send').click();
  };
  const hears = (page, text) => page.locator('#log .text').getByText(text, { exact: true }).first().waitFor();
  const notices = (page, text) => page.locator('#log .notice', { hasText: text }).first().waitFor();
  const trouble = async (page, pattern) => {
    await page.locator('#error', { hasText: pattern }).waitFor();
    return page.locator('#error').textContent();
  };
  const roster = (page) => page.locator('#roster .is').evaluateAll((names) => names.map((name) => name.firstChild.data));
  const heard = (page) => page.locator('#log .text').allTextContents();

  it('joins people with and without WebSocket in one room', { timeout: LIMIT }, async () => {
    const ann = await arrive('ann', { room: 'river' });
    const bo = await arrive('bo', { room: 'river', without: ['WebSocket', 'EventSource', 'fetch'] });
    assert.equal(await ann.locator('#transport').textContent(), 'websocket');
    assert.equal(await bo.locator('#transport').textContent(), 'xhr-streaming');
    await notices(ann, 'bo');

    await say(ann, 'are you there?');
    await hears(bo, 'are you there?');
    await bo.locator('#message').fill('100% </script> \u{1F41F}');
    await bo.locator('#message').press('Enter');
    await hears(ann, '100% </script> \u{1F41F}');

    for (const page of [ann, bo]) {
      await page.locator('#roster li').nth(1).waitFor();
      assert.deepEqual(await roster(page), ['ann', 'bo']);
      assert.deepEqual(await heard(page), ['are you there?', '100% </script> \u{1F41F}']);
      assert.deepEqual(page.problems, []);
    }
    assert.equal(await ann.locator('#log .entry:not(.mine) .name').textContent(), 'bo');
    assert.equal(await bo.locator('#log .entry:not(.mine) .name').textContent(), 'ann');
  });

  it('talks over every transport that one can pick', { timeout: 2 * LIMIT }, async () => {
    const ann = await arrive('ann', { room: 'lab' });
    const bo = await arrive('bo', { room: 'lab' });
    const offered = await bo.locator('#transport-select option').evaluateAll((all) => all.map((one) => one.value));
    assert.deepEqual(offered, ['', ...TRANSPORTS]);
    for (const transport of TRANSPORTS) {
      await bo.locator('#transport-select').selectOption(transport);
      await bo.locator('#transport', { hasText: new RegExp(`^${transport}$`) }).waitFor();
      await joined(bo, 'bo');
      await say(bo, `over ${transport}`);
      await hears(ann, `over ${transport}`);
      await hears(bo, `over ${transport}`);
    }
    assert.deepEqual((await heard(ann)), TRANSPORTS.map((transport) => `over ${transport}`));
    assert.deepEqual([...ann.problems, ...bo.problems], []);
  });

  it('shows the room and its history to one who comes later, and moves between rooms', { timeout: LIMIT }, async () => {
    const ann = await arrive('ann', { room: 'bank' });
    await say(ann, 'said before');
    await hears(ann, 'said before');

    const bo = await arrive('bo', { room: 'elsewhere' });
    await bo.locator('#room').fill('bank');
    await bo.locator('#room').press('Enter');
    await hears(bo, 'said before');
    await notices(ann, 'bo');
    await bo.locator('#name').fill('bob');
    await bo.locator('#join').click();
    await joined(bo, 'bob');
    await ann.locator('#roster .is', { hasText: /^bob$/ }).waitFor();
    assert.deepEqual(await heard(bo), ['said before'], 'the history is not shown twice');

    await bo.reload();
    await joined(bo, 'bob');
    assert.equal(await bo.locator('#room').inputValue(), 'bank');
    await hears(bo, 'said before');
  });

  it('shows markup as the text that it is', { timeout: LIMIT }, async () => {
    const text = '<img src="/none" onerror="document.title = \'broken\'"><b>bold</b>';
    const ann = await arrive('<i>ann</i>', { room: '<u>room' });
    await say(ann, text);
    await hears(ann, text);
    assert.equal(await ann.locator('#log img, #log b, #log i, #roster i').count(), 0);
    assert.deepEqual(ann.problems, []);
  });

  it('comes back after a restart of the server with name, room and what was typed meanwhile', { timeout: 2 * LIMIT }, async () => {
    const ann = await arrive('ann', { room: 'weir' });
    const bo = await arrive('bo', { room: 'weir', transport: 'xhr-polling' });
    await say(ann, 'before');
    await hears(bo, 'before');

    const { port } = server;
    await server.kill();
    await Promise.all([state(ann, 'waiting'), state(bo, 'waiting')]);
    await trouble(ann, /connection was lost|does not answer/);
    await ann.locator('#countdown', { hasText: /^retry in \d+ s$/ }).waitFor();
    await say(ann, 'while you were away, 1');
    await say(ann, 'while you were away, 2');
    assert.deepEqual(await ann.locator('#outbox .queued .text').allTextContents(), ['while you were away, 1', 'while you were away, 2']);

    server = await startSockeye({ port });
    for (const [page, name] of [[ann, 'ann'], [bo, 'bo']]) {
      // The page may come back by itself before the button is pressed.
      await page.locator('#reconnect').click({ timeout: 2_000 }).catch(() => {});
      await joined(page, name);
      await page.locator('#room').evaluate((room) => room.value).then((room) => assert.equal(room, 'weir'));
    }
    // Bo may have joined after the messages; then the history has them.
    for (const page of [ann, bo]) {
      await hears(page, 'while you were away, 2');
      assert.deepEqual(await heard(page), ['before', 'while you were away, 1', 'while you were away, 2']);
      assert.equal(await page.locator('#error').textContent(), '');
      assert.equal(await page.locator('#outbox li').count(), 0);
    }
    await say(bo, 'after');
    await hears(ann, 'after');
  });

  // A poll that fails leaves the old session alive on the server until its
  // disconnect delay is over, and with it the name.
  it('takes its name again when the server still holds the lost session', { timeout: 2 * LIMIT }, async () => {
    const ann = await arrive('ann', { room: 'pool' });
    const bo = await arrive('bo', { room: 'pool', transport: 'xhr-polling' });
    const polls = /\/ws\/\d+\/\w+\/xhr\?/;
    await bo.route(polls, (route) => route.abort());
    await say(ann, 'this answers the poll of bo');
    await state(bo, 'waiting');
    await bo.unroute(polls);
    await bo.locator('#reconnect').click({ timeout: 2_000 }).catch(() => {});
    await joined(bo, 'bo');
    assert.equal(await bo.locator('#error').textContent(), '');
    await say(bo, 'me again');
    await hears(ann, 'me again');
    await hears(bo, 'this answers the poll of bo');
  });

  describe('a message whose connection broke before an answer', () => {
    const sends = /\/ws\/\d+\/\w+\/xhr_send\?/;
    const info = /\/ws\/info/;
    const breakOff = async (bo, text) => {
      for (const address of [sends, info]) await bo.route(address, (route) => route.abort());
      await say(bo, text);
      await bo.locator('#outbox .queued', { hasText: text }).waitFor();
    };
    const comeBack = async (bo) => {
      for (const address of [sends, info]) await bo.unroute(address);
      await bo.locator('#reconnect').click({ timeout: 2_000 }).catch(() => {});
    };

    it('is said again by itself', { timeout: LIMIT }, async () => {
      const ann = await arrive('ann', { room: 'rapids' });
      const bo = await arrive('bo', { room: 'rapids', transport: 'xhr-polling' });
      await breakOff(bo, 'into the rapids');
      await comeBack(bo);
      await hears(ann, 'into the rapids');
      await hears(bo, 'into the rapids');
      await bo.locator('#outbox:empty').waitFor({ state: 'attached' });
      for (const page of [ann, bo]) assert.deepEqual(await heard(page), ['into the rapids']);
    });

    // The server may have read the message, so the user decides whether to send it again.
    it('is said in another room on request only', { timeout: LIMIT }, async () => {
      const bo = await arrive('bo', { room: 'gorge', transport: 'xhr-polling' });
      await breakOff(bo, 'mind the rocks');
      await bo.locator('#room').fill('pond');
      await bo.locator('#room').press('Enter');
      await comeBack(bo);
      const held = bo.locator('#outbox .elsewhere', { hasText: 'mind the rocks' });
      await held.getByText('in the room “gorge”').waitFor();
      assert.deepEqual(await heard(bo), []);
      await held.getByText('Send here').click();
      await hears(bo, 'mind the rocks');
      await bo.locator('#outbox:empty').waitFor({ state: 'attached' });
    });
  });

  // The answer to a form post stays unseen: the client takes this one for sent.
  it('connects again when its request to join was lost', { timeout: LIMIT }, async () => {
    let lost = 0;
    const ann = await open({
      name: 'ann',
      room: 'mist',
      transport: 'jsonp-polling',
      prepare: (page) => page.route(/\/jsonp_send\?/, (route) => {
        lost += 1;
        return lost === 1 ? route.fulfill({ body: 'ok' }) : route.continue();
      }),
    });
    await trouble(ann, /did not answer the request to join/);
    await joined(ann, 'ann');
    assert.equal(await ann.locator('#error').textContent(), '');
  });

  it('lets someone in as a guest when the name is taken, and says so', { timeout: LIMIT }, async () => {
    await arrive('ann', { room: 'taken' });
    const other = await open({ name: 'ann', room: 'taken' });
    await joined(other, 'guest-\\d+');
    assert.match(await trouble(other, /taken/), /ann/);
    assert.equal(await other.locator('#name').getAttribute('aria-invalid'), 'true');
    await other.locator('#name').fill('anna');
    await other.locator('#name').press('Enter');
    await joined(other, 'anna');
    assert.equal(await other.locator('#error').textContent(), '');
    assert.equal(await other.locator('#name').getAttribute('aria-invalid'), null);
  });

  it('keeps a message that is too long, and what the server refuses', { timeout: LIMIT }, async () => {
    const ann = await arrive('ann', { room: 'long' });
    await say(ann, '\u{1F41F}'.repeat(4_001));
    await trouble(ann, /too long: 4001 characters/);
    assert.equal(await ann.locator('#message').inputValue(), '\u{1F41F}'.repeat(4_001));
    await say(ann, '\u{1F41F}'.repeat(4_000));
    await hears(ann, '\u{1F41F}'.repeat(4_000));

    await ann.locator('#name').fill('n'.repeat(41));
    await ann.locator('#name').press('Enter');
    await trouble(ann, /./);
    assert.equal(await ann.locator('#name').getAttribute('aria-invalid'), 'true');
    await joined(ann, 'ann');
  });

  it('says what to do when the one transport picked does not get through', { timeout: LIMIT }, async () => {
    const page = await open({ transport: 'websocket', without: ['WebSocket'] });
    assert.match(await trouble(page, /websocket/), /^websocket did not get through.*Automatic\.$/);
    await state(page, 'waiting');
    await page.locator('#transport-select').selectOption('');
    await state(page, 'open');
    assert.equal(await page.locator('#error').textContent(), '');
  });

  it('says what to do when no transport gets through', { timeout: LIMIT }, async () => {
    const page = await open({
      // Each transport is left by its own timeout, so these have to be the client's own.
      patient: false,
      prepare: (page) => page.route(/\/ws\/(\d+\/|iframe)/, (route) => route.abort()),
      without: ['WebSocket'],
    });
    assert.match(await trouble(page, /No transport/), /proxy/);
  });

  it('says what to do when the client library does not load', { timeout: LIMIT }, async () => {
    const page = await open({ prepare: (page) => page.route(CLIENT, (route) => route.abort()) });
    await state(page, 'unavailable');
    assert.match(await trouble(page, /./), /npm ci/);
  });

  it('says so when the endpoint is not the chat', { timeout: LIMIT }, async () => {
    const echo = await startSockeye({ args: ['--endpoint', '/ws=echo'] });
    try {
      const page = await open();
      await page.goto(`${echo.url}/chat`);
      assert.match(await trouble(page, /./), /--endpoint \/ws=chat/);
    } finally {
      await echo.kill();
    }
  });
});
