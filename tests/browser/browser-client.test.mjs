// Real sockjs-clients in Chromium, one transport at a time, on the gateway's own
// origin and across origins.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { clientSource } from './support/clients.mjs';
import { launch, LIMIT, newContext, newPage } from './support/chromium.mjs';
import { closing, exchange, NASTY } from './support/exchange.mjs';
import { startOrigin } from './support/origin.mjs';
import { startConformance, startSockeye } from './support/server.mjs';

const SAME_ORIGIN = ['websocket', 'xhr-streaming', 'eventsource', 'htmlfile', 'xhr-polling', 'jsonp-polling'];
const CROSS_ORIGIN = [
  'websocket', 'xhr-streaming', 'eventsource', 'xhr-polling', 'jsonp-polling',
  'iframe-eventsource', 'iframe-htmlfile', 'iframe-xhr-polling',
];
// Their responses end at the limit of 4096 bytes, and the client comes back.
const STREAMING = ['xhr-streaming', 'eventsource', 'htmlfile'];
const OLDER = ['1.0.2', '1.4.0'];
const OLDER_TRANSPORTS = ['websocket', 'xhr-streaming', 'xhr-polling'];

describe('sockjs-client in Chromium', () => {
  let sockeye;
  let conformance;
  let origin;
  let browser;
  let context;

  before(async () => {
    origin = await startOrigin();
    [sockeye, conformance, browser] = await Promise.all([
      startSockeye(), startConformance({ clientUrl: origin.client('1.6.1') }), launch(),
    ]);
    context = await newContext(browser);
  });
  after(async () => {
    await browser?.close();
    await Promise.all([sockeye?.kill(), conformance?.kill(), origin?.stop()]);
  });

  // A page of `at` with a client in it; `use` runs there, and the page must not complain.
  async function inPage(at, version, use, argument) {
    const page = await newPage(context);
    try {
      await page.goto(at);
      await page.addScriptTag({ content: clientSource(version) });
      const result = await page.evaluate(`(${use})(SockJS, ${JSON.stringify(argument)})`);
      assert.equal(await page.evaluate('SockJS.version'), version);
      assert.deepEqual(page.problems, []);
      return result;
    } finally {
      await page.close();
    }
  }
  // The greeting is a page of the gateway's origin.
  const here = (server) => `${server.url}/echo`;

  const echoes = async (at, version, transport, server = sockeye, messages = NASTY) => {
    const result = await inPage(at, version, exchange, { url: `${server.url}/echo`, transport, messages });
    assert.deepEqual(result, { transport, count: messages.length, wrong: [], closed: null });
  };
  const closes = async (at, version, transport) => {
    const result = await inPage(at, version, closing, { url: `${conformance.url}/close`, transport });
    assert.deepEqual(result, { transport, code: 3000, reason: 'Go away!', wasClean: true });
  };

  describe('1.6.1 on the origin of the gateway', () => {
    for (const transport of SAME_ORIGIN) {
      it(`echoes every text over ${transport}`, { timeout: LIMIT }, () => echoes(here(sockeye), '1.6.1', transport));
      it(`sees the close code over ${transport}`, { timeout: LIMIT }, () => closes(here(conformance), '1.6.1', transport));
    }
    for (const transport of STREAMING) {
      it(`keeps the order over ${transport} when responses end often`, { timeout: LIMIT }, () => {
        const messages = Array.from({ length: 200 }, (_, at) => `${at} ${'y'.repeat(at % 100)}`);
        return echoes(here(conformance), '1.6.1', transport, conformance, messages);
      });
    }
  });

  describe('1.6.1 on another origin', () => {
    for (const transport of CROSS_ORIGIN) {
      it(`echoes every text over ${transport}`, { timeout: LIMIT }, () => echoes(origin.url, '1.6.1', transport));
      it(`sees the close code over ${transport}`, { timeout: LIMIT }, () => closes(origin.url, '1.6.1', transport));
    }
  });

  for (const version of OLDER) {
    describe(`${version} on the origin of the gateway`, () => {
      for (const transport of OLDER_TRANSPORTS) {
        it(`echoes every text over ${transport}`, { timeout: LIMIT }, () => echoes(here(sockeye), version, transport));
        it(`sees the close code over ${transport}`, { timeout: LIMIT }, () => closes(here(conformance), version, transport));
      }
    });
  }
});
