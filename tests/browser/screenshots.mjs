// Pictures of every page, wide and at 360 px, light and dark:
//
//   node screenshots.mjs OUTDIR

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { FAKE_MEDIA, hears, moves, say } from './support/calls.mjs';
import { LIMIT, launch, newContext, newPage } from './support/chromium.mjs';
import { startNginx } from './support/nginx.mjs';
import { paintedCamera } from './support/painted.mjs';
import { startSockeye } from './support/server.mjs';

const out = process.argv[2];
if (!out) {
  console.error('usage: node screenshots.mjs OUTDIR');
  process.exit(2);
}
mkdirSync(out, { recursive: true });

const SIZES = { wide: { width: 1280, height: 820 }, narrow: { width: 360, height: 740 } };

let server = await startSockeye();
const browser = await launch(FAKE_MEDIA);
try {
  for (const colorScheme of ['light', 'dark']) {
    for (const [size, viewport] of Object.entries(SIZES)) {
      const context = await newContext(browser, { viewport, colorScheme, deviceScaleFactor: size === 'narrow' ? 2 : 1 });
      const shoot = (page, name, fullPage = false) =>
        page.screenshot({ path: join(out, `${name}-${size}-${colorScheme}.png`), fullPage });
      await index(context, shoot);
      await chat(context, shoot);
      await call({ viewport, colorScheme, deviceScaleFactor: size === 'narrow' ? 2 : 1 }, shoot);
      await rooms(context, shoot);
      await context.close();
    }
  }
  for (const [size, viewport] of Object.entries(SIZES)) await compare(size, viewport);
} finally {
  await browser.close();
  await server.kill();
}

async function index(context, shoot) {
  const page = await newPage(context);
  await page.goto(server.url);
  await page.locator('#endpoints tr').nth(1).waitFor();
  await shoot(page, 'index');
  await page.locator('#echo-send').click();
  await page.locator('#echo-send:not([disabled])').waitFor({ timeout: LIMIT });
  await shoot(page, 'index-tried', true);
  await page.close();
}

async function chat(context, shoot) {
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
  await empty.close();
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

async function rooms(context, shoot) {
  const page = await newPage(context);
  for (const id of [7, 42]) await page.request.post(`${server.url}/room`, { form: { id } });
  await page.goto(`${server.url}/rooms?id=42`);
  await shoot(page, 'rooms');
  await page.close();
}

// A run takes a while, so that one is shown in both colours.
async function compare(size, viewport) {
  const context = await newContext(browser, { viewport, deviceScaleFactor: size === 'narrow' ? 2 : 1 });
  const shoot = async (page, name) => {
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(out, `${name}-${size}-${colorScheme}.png`), fullPage: true });
    }
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
    await behind.close();
    await nginx.stop();
  }
  await context.close();
}
