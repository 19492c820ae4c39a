// Rules for every page: old JavaScript, no request to other hosts, no sideways
// scrolling on a narrow screen, nothing on the console; and the client library
// that they load.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { parse } from 'acorn';
import { launch, LIMIT, newContext, newPage } from './support/chromium.mjs';
import { startSockeye } from './support/server.mjs';

const STATIC = new URL('../../static/', import.meta.url);
const read = (path) => readFileSync(new URL(path, STATIC), 'utf8');
const json = (path) => JSON.parse(read(path));
const files = (suffix, folder = '') => readdirSync(new URL(folder, STATIC)).filter((name) => name.endsWith(suffix)).map((name) => folder + name);
// Scripts for every browser, and modules of the call page, for browsers that can call are modern.
const SCRIPTS = [...files('.js'), ...files('.js', 'compare/')];
const MODULES = files('.js', 'call/');

const PATHS = { 'index.html': '/', '404.html': '/nowhere' };
const PAGES = files('.html').map((name) => ({ name, path: PATHS[name] ?? `/${name.slice(0, -'.html'.length)}` }));
// Made by the server.
const ROOMS = { name: 'the page of rooms', path: '/rooms' };

describe('the sources of the pages', () => {
  for (const script of SCRIPTS) {
    it(`${script} is ES5`, () => {
      parse(read(script), { ecmaVersion: 5, sourceType: 'script' });
    });
  }

  for (const script of MODULES) {
    it(`${script} is a module that imports from its own folder`, () => {
      const { body } = parse(read(script), { ecmaVersion: 2022, sourceType: 'module' });
      for (const { source } of body.filter(({ type }) => type === 'ImportDeclaration')) {
        assert.match(source.value, /^\.\/[a-z]+\.js$/);
        assert.ok(MODULES.includes(`call/${source.value.slice(2)}`), `${source.value} exists`);
      }
    });
  }

  for (const { name } of PAGES) {
    it(`${name} has ES5 inline scripts only, and no inline handlers`, () => {
      const html = read(name);
      for (const [, source] of html.matchAll(/<script(?![^>]*\bsrc=)[^>]*>([\s\S]*?)<\/script>/gi)) {
        parse(source, { ecmaVersion: 5, sourceType: 'script' });
      }
      assert.doesNotMatch(html, /\son\w+\s*=/i);
    });

    it(`${name} loads its scripts and styles from this server`, () => {
      for (const [, url] of read(name).matchAll(/<(?:script|link|img|iframe)[^>]*\s(?:src|href)="([^"]*)"/gi)) {
        assert.match(url, /^\/static\//);
        assert.ok(existsSync(new URL(url.slice('/static/'.length), STATIC)), `${url} exists`);
      }
    });
  }

  it('no page script writes markup', () => {
    for (const script of [...SCRIPTS, ...MODULES]) {
      assert.doesNotMatch(read(script), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b/, script);
    }
  });
});

describe('the SockJS client', () => {
  const declared = json('sockjs-client.json');
  const installed = json('node_modules/sockjs-client/package.json');

  it('is the one version that package.json, the lockfile and sockjs-client.json name', () => {
    assert.equal(json('package.json').dependencies['sockjs-client'], declared.version);
    assert.equal(json('package-lock.json').packages['node_modules/sockjs-client'].version, declared.version);
    assert.equal(installed.version, declared.version);
    assert.equal(declared.cdn, `https://cdn.jsdelivr.net/npm/sockjs-client@${declared.version}/dist/sockjs.min.js`);
  });

  it('has the hash that pages ask the CDN for', () => {
    const hash = createHash('sha384').update(readFileSync(new URL(declared.file, STATIC))).digest('base64');
    assert.equal(declared.integrity, `sha384-${hash}`);
  });

  it('ships with the licence of every package in its bundle', () => {
    const text = read('licenses/sockjs-client.txt').replace(/\s+/g, ' ');
    const { sources } = json('node_modules/sockjs-client/dist/sockjs.min.js.map');
    const bundled = new Set(['sockjs-client', ...sources.map((source) => /^node_modules\/([^/]+)/.exec(source)?.[1]).filter(Boolean)]);
    assert.ok(bundled.size > 3, 'the source map names the packages');
    for (const name of bundled) {
      assert.ok(text.includes(` ${name} (`), `${name} is named`);
      const licence = new URL(`node_modules/${name}/LICENSE`, STATIC);
      // A tool that leaves a few lines in the bundle is not installed here.
      if (!existsSync(licence)) continue;
      assert.ok(text.includes(readFileSync(licence, 'utf8').replace(/\s+/g, ' ').trim()), `the licence of ${name}`);
      assert.ok(text.includes(`${name} (${json(`node_modules/${name}/package.json`).version})`), `the version of ${name}`);
    }
  });
});

describe('the pages in Chromium', () => {
  let server;
  let browser;

  before(async () => {
    [server, browser] = await Promise.all([startSockeye(), launch()]);
  });
  after(async () => {
    await browser?.close();
    await server?.kill();
  });

  async function open(path, options, from = server) {
    const context = await newContext(browser, options);
    const page = await newPage(context);
    page.foreign = [];
    page.on('request', (request) => {
      if (!/^data:/.test(request.url()) && !request.url().startsWith(from.url)) page.foreign.push(request.url());
    });
    await page.goto(from.url + path);
    await page.waitForLoadState('load');
    return page;
  }
  const sideways = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

  for (const { name, path } of [...PAGES, ROOMS]) {
    it(`${name} does not scroll sideways at 320 px, asks nobody else, and says nothing on the console`, { timeout: LIMIT }, async () => {
      for (const colorScheme of ['light', 'dark']) {
        const page = await open(path, { viewport: { width: 320, height: 640 }, colorScheme });
        assert.equal(await sideways(page), 0);
        // Chromium reports the status of a page that isn't there.
        assert.deepEqual(page.problems.filter((problem) => !problem.endsWith(`(${server.url}${PATHS['404.html']})`)), []);
        assert.deepEqual(page.foreign, []);
        await page.context().close();
      }
    });

    it(`${name} names every control and has unique ids`, { timeout: LIMIT }, async () => {
      const page = await open(path);
      const unnamed = await page.evaluate(() => Array.from(document.querySelectorAll('input:not([type=hidden]), select, textarea, button'))
        .filter((control) => !(control.labels?.length || control.getAttribute('aria-label') || control.textContent.trim()))
        .map((control) => control.outerHTML));
      assert.deepEqual(unnamed, []);
      const ids = await page.evaluate(() => Array.from(document.querySelectorAll('[id]')).map((element) => element.id));
      assert.equal(new Set(ids).size, ids.length);
      await page.context().close();
    });

    it(`${name} has words for people, none of a program`, { timeout: LIMIT }, async () => {
      const page = await open(path);
      const words = await page.evaluate(() => [document.title, document.body.innerText, ...Array.from(document.querySelectorAll('*')).flatMap((element) =>
        ['title', 'placeholder', 'aria-label', 'alt'].map((attribute) => element.getAttribute(attribute) ?? ''))].join('\n'));
      assert.ok(words.length > 20);
      assert.doesNotMatch(words, /`|\bnull\b|undefined|\bNaN\b|\[object |is sent as|is empty|bad_request/);
      await page.context().close();
    });
  }

  for (const { name, path } of [...PAGES, ROOMS]) {
    it(`${name} has the way to every page, in one row that fits at 320 px`, { timeout: LIMIT }, async () => {
      const page = await open(path, { viewport: { width: 320, height: 640 } });
      const ways = await page.locator('.top a:visible').evaluateAll((links) => links.map((link) => {
        const { left, right, top, bottom } = link.getBoundingClientRect();
        return { href: link.getAttribute('href'), left, right, middle: Math.round((top + bottom) / 2), height: bottom - top };
      }));
      assert.deepEqual(ways.map(({ href }) => href), ['/', '/chat', '/call', '/rooms', '/compare']);
      assert.equal(new Set(ways.map(({ middle }) => middle)).size, 1, JSON.stringify(ways));
      ways.forEach(({ left, right, height }, at) => {
        assert.ok(left >= (ways[at - 1]?.right ?? 0) && right <= 320 && height >= 32, JSON.stringify(ways));
      });
      await page.setViewportSize({ width: 1280, height: 820 });
      assert.deepEqual(await page.locator('.top nav a:visible').allTextContents(), ['Overview', 'Chat', 'Call', 'Rooms', 'Compare']);
      const here = await page.locator('.top nav [aria-current=page]').evaluateAll((all) => all.map((link) => link.getAttribute('href')));
      assert.deepEqual(here, path === PATHS['404.html'] ? [] : [path]);
      await page.context().close();
    });
  }

  // Scripts and health checks get the plain list of paths as before; see the tests of the program.
  it('a path that is not there is a page that leads on, for a browser', { timeout: LIMIT }, async () => {
    const page = await open('/nowhere/at/all?x=<b>');
    const answer = await page.request.get(`${server.url}/nowhere`, { headers: { accept: 'text/html', 'sec-fetch-dest': 'document' } });
    assert.equal(answer.status(), 404);
    assert.match(answer.headers()['content-type'], /^text\/html/);
    assert.equal(await page.locator('h1').textContent(), 'There is no page here');
    for (const card of await page.locator('.card').all()) {
      assert.equal((await page.request.get(server.url + await card.getAttribute('href'))).status(), 200);
    }
    const plain = await page.evaluate(() => fetch('/nowhere').then(async (answer) => [answer.status, await answer.text()]));
    assert.equal(plain[0], 404);
    assert.match(plain[1], /^Nothing is served on this path/);
    const beyond = await page.request.get(`${server.url}/echo/no/such/thing/here`, { headers: { accept: 'text/html', 'sec-fetch-dest': 'document' } });
    assert.equal(beyond.status(), 404);
    assert.doesNotMatch(await beyond.text(), /<html/, 'below a prefix answers are those of the protocol');
    await page.context().close();
  });

  it('the index lists the endpoints of this server, and the pages that they make possible', { timeout: LIMIT }, async () => {
    const page = await open('/');
    const listed = await (await page.request.get(`${server.url}/endpoints.json`)).json();
    assert.ok(listed.some(({ prefix, app }) => prefix === '/echo' && app === 'echo'));
    await page.locator('#endpoints th').first().waitFor();
    const shown = await page.locator('#endpoints tr').evaluateAll((rows) => rows.map((row) => ({
      prefix: row.cells[0].textContent, app: row.cells[1].textContent, about: row.cells[2].textContent,
    })));
    assert.deepEqual(shown, listed.map(({ prefix, app, about }) => ({ prefix, app, about })));
    for (const card of await page.locator('.card:visible').all()) {
      assert.equal((await page.request.get(server.url + await card.getAttribute('href'))).status(), 200);
    }
    await page.context().close();

    const bare = await startSockeye({ args: ['--endpoint', '/signal=echo'] });
    try {
      const other = await open('/', {}, bare);
      await other.locator('#endpoints th').first().waitFor();
      assert.equal(await other.locator('.card[href="/rooms"]').isVisible(), false);
      await other.context().close();
    } finally {
      await bare.kill();
    }
  });

  it('the index sends a message over every transport and back', { timeout: 2 * LIMIT }, async () => {
    const page = await open('/', { viewport: { width: 360, height: 740 } });
    await page.locator('#endpoints th').first().waitFor();
    await page.locator('#echo-text').fill('100% </script>');
    await page.locator('#echo-send').click();
    await page.locator('#echo-send:not([disabled])').waitFor();
    const transports = await page.locator('#echo-transport option').evaluateAll((all) => all.map((one) => one.value).slice(2));
    const rows = await page.locator('#trips-body tr').evaluateAll((rows) => rows.map((row) => Array.from(row.cells, (cell) => cell.textContent)));
    assert.deepEqual(rows.map(([transport, result]) => [transport, result]), transports.map((transport) => [transport, 'arrived']));
    for (const [, , connect, roundTrip] of rows) {
      assert.match(connect, /^[\d.]+ ms$/);
      assert.match(roundTrip, /^[\d.]+ ms$/);
    }
    assert.equal(await sideways(page), 0);
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });

  it('the chat does not scroll sideways with the longest names and unbroken texts', { timeout: LIMIT }, async () => {
    const name = 'W'.repeat(40);
    const page = await open(`/chat?name=${name}&room=${name}`, { viewport: { width: 360, height: 740 } });
    await page.locator('#roster .you').waitFor();
    await page.locator('#message').fill('W'.repeat(500));
    await page.locator('#send').click();
    await page.locator('#log .mine').waitFor();
    assert.equal(await sideways(page), 0);
    assert.equal(await page.locator('#log').evaluate((log) => log.scrollWidth - log.clientWidth), 0);
    await page.context().close();
  });
});
