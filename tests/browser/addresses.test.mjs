// Addresses in messages become links, and nothing else in a message becomes markup: the page shows
// each text letter by letter.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Callers, FAKE_MEDIA, hears, say } from './support/calls.mjs';
import { launch, LIMIT, newContext, newPage } from './support/chromium.mjs';
import { startSockeye } from './support/server.mjs';

describe('addresses in messages', () => {
  let server;
  let browser;
  let page;

  before(async () => {
    [server, browser] = await Promise.all([startSockeye(), launch(FAKE_MEDIA)]);
    page = await newPage(await newContext(browser));
    await page.goto(`${server.url}/chat?name=ann`);
    await page.locator('#people:not(.stale) .you').waitFor();
  });
  after(async () => {
    await browser?.close();
    await server?.kill();
  });

  /** The nodes that the page makes of a text: [href, text] for a link, a string for text. */
  const made = (text) => page.evaluate((text) => {
    const holder = document.createElement('div');
    holder.appendChild(window.withAddresses(text));
    return {
      parts: [...holder.childNodes].map((node) => (node.nodeType === Node.TEXT_NODE ? node.data : [node.href, node.textContent])),
      names: [...holder.querySelectorAll('*')].map(({ localName }) => localName),
      shown: holder.textContent,
    };
  }, text);

  for (const [text, parts] of [
    ['https://example.org', [['https://example.org/', 'https://example.org']]],
    ['see http://example.org/a?b=c&d#e now', ['see ', ['http://example.org/a?b=c&d#e', 'http://example.org/a?b=c&d#e'], ' now']],
    ['HTTPS://EXAMPLE.org/A.', [['https://example.org/A', 'HTTPS://EXAMPLE.org/A'], '.']],
    ['(https://example.org/a_(b)), and [https://example.org/]!?', [
      '(', ['https://example.org/a_(b)', 'https://example.org/a_(b)'], '), and [', ['https://example.org/', 'https://example.org/'], ']!?',
    ]],
    ['<https://example.org/>“https://example.org/b”', [
      '<', ['https://example.org/', 'https://example.org/'], '>“', ['https://example.org/b', 'https://example.org/b'], '”',
    ]],
    ['https://a.example/,https://b.example/', [['https://a.example/,https://b.example/', 'https://a.example/,https://b.example/']]],
    ['https://a.example\nhttps://b.example', [['https://a.example/', 'https://a.example'], '\n', ['https://b.example/', 'https://b.example']]],
    ['http://127.0.0.1:8080/chat?room=weir', [['http://127.0.0.1:8080/chat?room=weir', 'http://127.0.0.1:8080/chat?room=weir']]],
    ['http://[::1]:8080/', [['http://[::1]:8080/', 'http://[::1]:8080/']]],
    ['https://ja.example/鮭。次', [['https://ja.example/%E9%AE%AD', 'https://ja.example/鮭'], '。次']],
  ]) {
    it(`finds them in ${JSON.stringify(text)}`, { timeout: LIMIT }, async () => {
      assert.deepEqual(await made(text), { parts, names: parts.filter(Array.isArray).map(() => 'a'), shown: text });
    });
  }

  // The host that is shown must be the host that is asked, and text behind a quote or a bracket
  // must not leave its attribute.
  for (const text of [
    'javascript:alert(1)', 'JaVaScRiPt:alert(1)//', 'data:text/html,<script>window.broken = 1</script>', 'vbscript:x', 'file:///etc/passwd',
    'ftp://example.org/', 'mailto:a@example.org', '//example.org/', 'www.example.org', 'xhttps://example.org', 'blob:x',
    'https://', 'https:///', 'http://?', 'http://#', 'https://user@', 'https:example.org', 'https:/example.org', 'http://%zz/', 'http://[::1/',
    'https://bank.example@evil.example/', 'https://bank.example:443@evil.example/', 'https://bank.example%2f@evil.example/',
    'http://a:b@c', 'https://.', 'https://:80/',
    '<img src=x onerror="window.broken = 1">', '<a href="https:x">y</a>', '</script><script>window.broken = 1</script>', '&lt;b&gt;', '\u0000',
  ]) {
    it(`leaves ${JSON.stringify(text)} as it is`, { timeout: LIMIT }, async () => {
      assert.deepEqual(await made(text), { parts: [text], names: [], shown: text });
    });
  }

  for (const [text, host] of [
    ['javascript:https://example.org/', 'example.org'],
    ['https://example.org/"onmouseover="window.broken=1', 'example.org'],
    ['https://example.org/\' onclick=\'window.broken=1', 'example.org'],
    ['https://example.org/<script>window.broken=1</script>', 'example.org'],
    ['https://good.example\\@evil.example/', 'good.example'],
    ['https://good.example\\.evil.example/', 'good.example'],
    ['https://good.example\u202e/moc.live', 'good.example'],
    ['https://good.example\u200b.evil.example/', 'good.example'],
    ['https://good.example／evil.example', 'good.example'],
    ['https://good.example｡evil.example', 'good.example'],
    ['https://good.example#@evil.example/', 'good.example'],
    ['https://good.example?@evil.example/', 'good.example'],
    ['https://good.example/https://bank.example@evil.example/', 'good.example'],
  ]) {
    it(`leads to the host that it shows, in ${JSON.stringify(text)}`, { timeout: LIMIT }, async () => {
      const { parts, names, shown } = await made(text);
      const [link, ...others] = parts.filter(Array.isArray);
      assert.equal(shown, text);
      assert.deepEqual([others, names], [[], ['a']]);
      assert.equal(new URL(link[0]).host, host);
      assert.match(link[1], new RegExp(`^https://${host.replaceAll('.', '\\.')}(?:[/?#]|$)`));
    });
  }

  it('takes no time for long texts that look like addresses', { timeout: LIMIT }, async () => {
    for (const text of [`http://a.example/${')'.repeat(50_000)}`, `http://a.example/${'('.repeat(50_000)}`, 'http://'.repeat(10_000), `https://${'a@'.repeat(30_000)}`]) {
      assert.equal((await made(text)).shown, text);
    }
  });

  const LINK = 'https://example.org/a/very/long/path?x=1';
  const check = async (link) => {
    assert.equal(await link.getAttribute('href'), LINK);
    assert.equal(await link.getAttribute('rel'), 'noopener noreferrer');
    const [opened] = await Promise.all([link.page().context().waitForEvent('page'), link.click()]);
    await opened.waitForURL(LINK);
    assert.equal(await opened.evaluate(() => window.opener), null);
    assert.equal(await opened.evaluate(() => document.referrer), '');
    await opened.close();
  };

  it('are links in the chat, which open a page that has no hold on this one', { timeout: LIMIT }, async () => {
    await page.context().route('https://example.org/**', (route) => route.fulfill({ contentType: 'text/html', body: 'There.' }));
    await page.locator('#message').fill(`Look: ${LINK}. <b>Now.</b>`);
    await page.locator('#send').click();
    await page.locator('#log .text', { hasText: 'Now.' }).waitFor();
    assert.equal(await page.locator('#log .text').last().textContent(), `Look: ${LINK}. <b>Now.</b>`);
    assert.equal(await page.locator('#log b').count(), 0);
    await check(page.locator('#log .text a'));
    assert.deepEqual(page.problems, []);
  });

  it('are links in the chat of a call', { timeout: LIMIT }, async () => {
    const callers = new Callers(browser, server.url);
    try {
      const [bo, cy] = [await callers.arrive('Bo', { room: 1, media: 'chat' }), await callers.arrive('Cy', { room: 1, media: 'chat' })];
      await cy.context().route('https://example.org/**', (route) => route.fulfill({ contentType: 'text/html', body: 'There.' }));
      await bo.locator('.tile:not(.own)').waitFor();
      await say(bo, `${LINK}\n<i>javascript:alert(1)</i>`);
      await hears(cy, /^https:.*<i>javascript:alert\(1\)<\/i>$/s);
      assert.equal(await cy.locator('#log i').count(), 0);
      await check(cy.locator('#log .text a'));
    } finally {
      await callers.close();
    }
  });
});
