// Pictures of every page at 1280, 390 and 320 px, light and dark, to be looked at:
//
//   node screenshots.mjs OUTDIR [PAGE…]
//
// The pages are index, chat, call, rooms, missing and compare. In place of OUTDIR, --docs renews the
// pictures of the documentation.

import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FAKE_MEDIA, hears, moves, say } from './support/calls.mjs';
import { LIMIT, launch, newContext, newPage } from './support/chromium.mjs';
import { startNginx } from './support/nginx.mjs';
import { paintedCamera } from './support/painted.mjs';
import { startSockeye } from './support/server.mjs';

const [target, ...chosen] = process.argv.slice(2);
if (!target) {
  console.error('usage: node screenshots.mjs OUTDIR|--docs [PAGE…]');
  process.exit(2);
}
const isForDocs = target === '--docs';
const out = isForDocs ? mkdtempSync(join(tmpdir(), 'sockeye-pictures-')) : target;
mkdirSync(out, { recursive: true });

const SIZES = { 1280: { width: 1280, height: 820 }, 390: { width: 390, height: 844 }, 320: { width: 320, height: 640 } };
const SCHEMES = ['light', 'dark'];
/** The pictures of the documentation: wide ones are light, those of a phone dark. */
const DOCS = {
  'chat.png': 'chat-1280-light.png',
  'chat-phone.png': 'chat-390-dark.png',
  'call.png': 'call-1280-light.png',
  'call-phone.png': 'call-390-dark.png',
  'compare.png': 'compare-upgrade-head-1280-light.png',
  'compare-phone.png': 'compare-pictures-390-dark.png',
};
const isNeeded = (size, scheme) => !isForDocs || (size === '1280' && scheme === 'light') || (size === '390' && scheme === 'dark');

let server = await startSockeye();
const browser = await launch(FAKE_MEDIA);
try {
  for (const [size, viewport] of Object.entries(SIZES)) {
    const options = { viewport, deviceScaleFactor: size === '1280' ? 1 : 2 };
    for (const colorScheme of SCHEMES.filter((scheme) => isNeeded(size, scheme))) {
      const shoot = (page, name, fullPage = false) =>
        page.screenshot({ path: join(out, `${name}-${size}-${colorScheme}.png`), fullPage });
      const pages = isForDocs ? { chat, call } : { index, chat, call, rooms, missing };
      for (const [name, take] of Object.entries(pages)) {
        if (chosen.length === 0 || chosen.includes(name)) await take({ ...options, colorScheme }, shoot);
      }
    }
    if ((chosen.length === 0 || chosen.includes('compare')) && SCHEMES.some((scheme) => isNeeded(size, scheme))) await compare(size, options);
  }
  if (isForDocs) {
    for (const [name, picture] of Object.entries(DOCS)) {
      const isTaken = chosen.length === 0 || chosen.some((page) => name.startsWith(page));
      if (isTaken) copyFileSync(join(out, picture), fileURLToPath(new URL(`../../docs/${name}`, import.meta.url)));
    }
    rmSync(out, { recursive: true });
  }
} finally {
  await browser.close();
  await server.kill();
}

async function index(options, shoot) {
  const context = await newContext(browser, options);
  const page = await newPage(context);
  await page.goto(server.url);
  await page.locator('#endpoints tr').nth(1).waitFor();
  await shoot(page, 'index');
  await page.locator('#echo-send').click();
  await page.locator('#echo-send:not([disabled])').waitFor({ timeout: LIMIT });
  await shoot(page, 'index-tried', true);
  await context.close();
}

async function chat(options, shoot) {
  const context = await newContext(browser, options);
  const join = async (name, room) => {
    const page = await newPage(context);
    await page.goto(`${server.url}/chat?name=${encodeURIComponent(name)}&room=${encodeURIComponent(room)}`);
    await page.locator('#state[data-state=open]').waitFor();
    await page.locator('#roster .you').waitFor();
    return page;
  };
  const say = async (page, text) => {
    await page.locator('#message').fill(text);
    await page.locator('#send').click();
    await page.locator('#log .mine .text', { hasText: text }).last().waitFor();
  };
  const ann = await join('Ann', 'weir');
  const bo = await join('Bo', 'weir');
  const soo = await join('Sølvi', 'weir');
  await say(bo, 'The counter at the fish ladder read 1,204 this morning. Yesterday it was 980.');
  await say(ann, 'So they are early.');
  await say(ann, 'Is the water still that cold?');
  await say(soo, '9.4 °C at the gauge, and falling.');
  await say(bo, 'https://example.org/a/very/long/link/that/does/not/break/by/itself/because/nothing/in/it/is/a/space?at=all&really=none');
  await say(ann, 'Good. I will bring the nets.');
  await ann.locator('#log .text', { hasText: 'example.org' }).waitFor();
  await shoot(ann, 'chat');

  const { port } = server;
  await server.kill();
  await ann.locator('#state[data-state=waiting]').waitFor();
  await ann.locator('#message').fill('Are you still there?');
  await ann.locator('#send').click();
  await ann.locator('#outbox .queued').waitFor();
  await shoot(ann, 'chat-lost');
  server = await startSockeye({ port });
  for (const page of [ann, bo, soo]) await page.close({ runBeforeUnload: false });

  const empty = await newPage(context);
  await empty.goto(`${server.url}/chat`);
  await empty.locator('#roster .you').waitFor();
  await shoot(empty, 'chat-empty');
  await context.close();
}

async function call(options, shoot) {
  const contexts = [];
  const open = async (name, settings = options) => {
    const context = await newContext(browser, settings);
    contexts.push(context);
    await context.addInitScript(paintedCamera, name);
    const page = await newPage(context);
    await page.goto(`${server.url}/call?${new URLSearchParams({ name, room: 42 })}`);
    return page;
  };
  const arrive = async (name, settings) => {
    const page = await open(name, settings);
    await page.locator('#join').click();
    await page.locator('#state[data-state=in]').waitFor();
    return page;
  };
  const pictures = async (page, count) => {
    await page.locator('.tile:not(.own)[data-state=connected][data-picture=on]').nth(count - 1).waitFor();
    for (const video of await page.locator('.tile:not(.own)[data-picture=on] video').all()) await moves(video);
  };

  const ann = await open('Ann');
  await shoot(ann, 'call-lobby');
  await ann.locator('#preview').click();
  await moves(ann.locator('.own video'));
  await shoot(ann, 'call-preview');
  await ann.locator('#join').click();
  await ann.locator('#alone:not([hidden])').waitFor();
  await shoot(ann, 'call-alone');

  const small = { viewport: { width: 800, height: 700 } };
  const bo = await arrive('Bo', small);
  await pictures(ann, 1);
  await shoot(ann, 'call-two');
  const others = [bo, await arrive('Sølvi', small), await arrive('Mira', small)];
  await pictures(ann, 3);
  await others[2].locator('#mute').click();
  await say(bo, 'The counter at the fish ladder read 1,204 this morning.');
  await say(others[1], 'Yesterday it was 980. So they are early.');
  await hears(ann, 'Yesterday it was 980. So they are early.');
  await say(ann, 'Good. I will bring the nets.');
  await hears(others[2], 'Good. I will bring the nets.');
  await shoot(ann, 'call', true);
  await others[2].locator('#camera').click();
  await ann.locator('.tile[data-picture=off]').waitFor();
  await ann.locator('#tab-links').click();
  await ann.locator('[data-fact=picture]', { hasText: '×' }).first().waitFor();
  await shoot(ann, 'call-connections', true);
  await ann.locator('#links button', { hasText: 'SDP' }).first().click();
  await shoot(ann, 'call-offer');
  await ann.locator('#offer-close').click();
  await ann.locator('#tab-settings').click();
  await shoot(ann, 'call-settings', true);
  await others[0].locator('#share').click();
  await ann.locator('.tile[data-screen=theirs][data-picture=on]').waitFor();
  await moves(ann.locator('.tile[data-screen=theirs] video'));
  await ann.locator('#tab-chat').click();
  await shoot(ann, 'call-screen', true);
  if (options.viewport.width > 1000) {
    await ann.locator('#whole').click();
    await ann.locator('.call.whole').waitFor();
    await shoot(ann, 'call-whole');
    await ann.locator('#whole').click();
    await ann.locator('.call:not(.whole)').waitFor();
  }

  const { port } = server;
  await server.kill();
  await ann.locator('#state[data-state=cut]').waitFor();
  await shoot(ann, 'call-cut');
  server = await startSockeye({ port });
  for (const context of contexts) await context.close();

  const denied = await newContext(browser, options);
  await denied.addInitScript(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('Permission denied', 'NotAllowedError'));
  });
  const page = await newPage(denied);
  await page.goto(`${server.url}/call?room=42`);
  await page.locator('#join').click();
  await page.locator('#without:not([hidden])').waitFor();
  await shoot(page, 'call-denied');
  await denied.close();
}

async function rooms(options, shoot) {
  const context = await newContext(browser, options);
  const page = await newPage(context);
  for (const id of [7, 42]) await page.request.post(`${server.url}/room`, { form: { id } });
  await page.goto(`${server.url}/rooms?id=42`);
  await page.locator('#fresh.open').waitFor();
  await shoot(page, 'rooms');
  await page.goto(`${server.url}/room/99`);
  await shoot(page, 'rooms-refused');
  await page.route(`${server.url}/rooms`, (route) => route.abort());
  await page.locator('#fresh.waiting').waitFor();
  await shoot(page, 'rooms-cut');
  await context.close();
}

async function missing(options, shoot) {
  const context = await newContext(browser, options);
  const page = await newPage(context);
  await page.goto(`${server.url}/nowhere`);
  await shoot(page, 'missing');
  await context.close();
}

// A run takes a while, so that one is shown in both colours.
async function compare(size, options) {
  const context = await newContext(browser, options);
  const shoot = async (page, name, clip) => {
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(out, `${name}-${size}-${colorScheme}.png`), fullPage: true, clip });
    }
  };
  // The page is long: its advice above, its pictures below.
  const shootParts = async (page, name) => {
    const { width } = options.viewport;
    const [from, to] = await page.evaluate(() => ['#trips', '.foot'].map((part) => document.querySelector(part).getBoundingClientRect().top + window.scrollY));
    await shoot(page, `${name}-head`, { x: 0, y: 0, width, height: from - 16 });
    await shoot(page, `${name}-pictures`, { x: 0, y: from - 16, width, height: to - from });
  };
  const open = async (url, query) => {
    const page = await newPage(context);
    await page.goto(`${url}/compare?${new URLSearchParams({ idle: 3, ...query })}`);
    return page;
  };
  const run = async (page) => {
    await page.locator('#start').click();
    await page.locator('#state[data-state=done]').waitFor({ timeout: 5 * LIMIT });
  };

  const page = await open(server.url);
  await shoot(page, 'compare-ready');
  await page.locator('#start').click();
  await page.locator('.now[data-transport=eventsource]', { hasText: 'round trip' }).waitFor();
  await shoot(page, 'compare-running');
  await page.locator('#state[data-state=done]').waitFor({ timeout: 5 * LIMIT });
  await shoot(page, 'compare');
  await shootParts(page, 'compare');
  await page.close();

  const trouble = {
    'compare-upgrade': {},
    'compare-buffering': {
      location: `proxy_http_version 1.0; client_max_body_size 0; proxy_ignore_headers X-Accel-Buffering;
        proxy_buffer_size 512k; proxy_buffers 8 512k; proxy_busy_buffers_size 1m;`,
    },
  };
  for (const [name, directives] of Object.entries(trouble)) {
    const nginx = await startNginx({ port: server.port, ...directives });
    const behind = await open(nginx.url, { transports: 'websocket,xhr-streaming,eventsource,xhr-polling' });
    await run(behind);
    await shoot(behind, name);
    await shootParts(behind, name);
    await behind.close();
    await nginx.stop();
  }
  await context.close();
}
