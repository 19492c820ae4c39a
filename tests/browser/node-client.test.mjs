// sockjs-client 1.6.1 in Node: every transport that it has there.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import SockJS from 'sockjs-client';
import { closing, exchange, NASTY } from './support/exchange.mjs';
import { startConformance, startSockeye } from './support/server.mjs';

// See `patientClient` in support/chromium.mjs.
SockJS.prototype.countRTO = () => 20_000;

const LIMIT = 60_000;
const TRANSPORTS = ['websocket', 'xhr-streaming', 'xhr-polling', 'eventsource'];

describe('sockjs-client in Node', () => {
  let sockeye;
  let conformance;

  before(async () => {
    [sockeye, conformance] = await Promise.all([startSockeye(), startConformance()]);
  });
  after(() => Promise.all([sockeye?.kill(), conformance?.kill()]));

  for (const transport of TRANSPORTS) {
    it(`echoes every text over ${transport}`, { timeout: LIMIT }, async () => {
      const result = await exchange(SockJS, { url: `${sockeye.url}/echo`, transport, messages: NASTY });
      assert.deepEqual(result, { transport, count: NASTY.length, wrong: [], closed: null });
    });

    // A response limit of 4096 bytes: a streaming client has to come back many times.
    it(`keeps the order over ${transport} when responses end often`, { timeout: LIMIT }, async () => {
      const messages = Array.from({ length: 400 }, (_, at) => `${at} ${'y'.repeat(at % 100)}`);
      const result = await exchange(SockJS, { url: `${conformance.url}/echo`, transport, messages });
      assert.deepEqual(result, { transport, count: messages.length, wrong: [], closed: null });
    });

    it(`hands the close code of the application to the client over ${transport}`, { timeout: LIMIT }, async () => {
      const result = await closing(SockJS, { url: `${conformance.url}/close`, transport });
      assert.deepEqual(result, { transport, code: 3000, reason: 'Go away!', wasClean: true });
    });
  }
});
