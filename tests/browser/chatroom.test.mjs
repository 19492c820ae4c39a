// A page written years ago for a Spring server, jQuery 3.3.1 and sockjs-client
// 1.0.2, against the chat: it knows nothing of names, rooms, notices or errors,
// prints `name : message` of all it receives, and must never print "undefined".

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { clientSource, jquerySource } from './support/clients.mjs';
import { launch, LIMIT, newContext, newPage } from './support/chromium.mjs';
import { startSockeye } from './support/server.mjs';

const fixture = (name) => readFileSync(new URL(`fixtures/${name}`, import.meta.url), 'utf8');

describe('a chat page of old', () => {
  let server;
  let browser;

  before(async () => {
    [server, browser] = await Promise.all([startSockeye(), launch()]);
  });
  after(async () => {
    await browser?.close();
    await server?.kill();
  });

  // On the origin of the gateway, with its libraries where it looks for them.
  async function openOldPage() {
    const context = await newContext(browser);
    const javascript = { contentType: 'text/javascript; charset=utf-8' };
    await context.route('**/chatrooms', (route) => route.fulfill({ contentType: 'text/html; charset=utf-8', body: fixture('chatroom.html') }));
    await context.route('**/js/chatroom.js', (route) => route.fulfill({ ...javascript, body: fixture('chatroom.js') }));
    await context.route('**/webjars/**', (route) => route.fulfill({ ...javascript, body: clientSource('1.0.2') }));
    await context.route('https://code.jquery.com/**', (route) => route.fulfill({ ...javascript, body: jquerySource() }));
    const page = await newPage(context);
    await page.goto(`${server.url}/chatrooms`);
    assert.equal(await page.evaluate('SockJS.version'), '1.0.2');
    await page.waitForFunction('ws.readyState === SockJS.OPEN');
    return page;
  }
  const lines = async (page) => (await page.locator('#chatArea').inputValue()).split('\n').filter(Boolean);
  const shows = (page, text) => page.waitForFunction(
    (text) => document.getElementById('chatArea').value.includes(text), text,
  );
  const say = async (page, text) => {
    await page.locator('#chatInput').fill(text);
    await page.locator('#sendBtn').click();
  };

  it('talks with its like and with the new page, and never prints "undefined"', { timeout: 2 * LIMIT }, async () => {
    const [one, two] = [await openOldPage(), await openOldPage()];
    await say(one, '안녕하세요 100%');
    await two.locator('#chatInput').fill('hello back');
    await shows(two, '안녕하세요 100%');
    await two.locator('#chatInput').press('Enter');

    const three = await newPage(await newContext(browser));
    await three.goto(`${server.url}/chat?name=carol`);
    await three.locator('#roster .you', { hasText: 'carol' }).waitFor();
    await three.locator('#message').fill('hello from the new page');
    await three.locator('#send').click();
    await three.locator('#name').fill('caroline');
    await three.locator('#name').press('Enter');
    await three.locator('#roster .you', { hasText: 'caroline' }).waitFor();

    // Requests that the old page should not send: each is answered with an error.
    for (const bad of ['not json', '[]', '{}', '{"message": 7}', '{"name": ""}', 'null']) {
      await one.evaluate((bad) => ws.send(bad), bad);
    }
    await say(one, '');
    await say(one, 'x'.repeat(5_000));
    await say(one, 'still here');
    await three.close();

    for (const page of [one, two]) {
      await shows(page, 'still here');
      await shows(page, 'caroline left');
      const all = await lines(page);
      assert.deepEqual(all.filter((line) => line.includes('undefined')), []);
      assert.deepEqual(all.filter((line) => !/^\S.* : \S/.test(line)), [], 'each line is name : message');
      assert.deepEqual(page.problems, []);
      const said = (text) => all.filter((line) => line.endsWith(` : ${text}`));
      assert.match(said('안녕하세요 100%')[0], /^guest-\d+ : /);
      assert.match(said('hello back')[0], /^guest-\d+ : /);
      assert.deepEqual(said('hello from the new page'), ['carol : hello from the new page']);
      assert.equal(said('still here').length, 1);
      assert.notEqual(said('안녕하세요 100%')[0].split(' : ')[0], said('hello back')[0].split(' : ')[0]);
    }
    // Errors go to their sender alone.
    assert.ok((await lines(one)).length > (await lines(two)).length);
  });
});
