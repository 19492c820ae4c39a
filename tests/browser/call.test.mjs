// The call page in Chromium, with a fake camera and media that stays on this host: pictures move
// over each transport of the signaling, and through its failures.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import {
  between, Callers, changesFrom, connections, FAKE_MEDIA, fragment, hears, inState, join, moves, notices, say, sees, tile, trouble,
} from './support/calls.mjs';
import { launch, LIMIT } from './support/chromium.mjs';
import { startLine } from './support/line.mjs';
import { startSockeye } from './support/server.mjs';

describe('the call page', () => {
  let server;
  let browser;
  let callers;

  before(async () => {
    [server, browser] = await Promise.all([startSockeye(), launch(FAKE_MEDIA)]);
    callers = new Callers(browser, server.url);
  });
  afterEach(() => callers.close());
  after(async () => {
    await browser?.close();
    await server?.kill();
  });

  const see = ([ann, bo]) => Promise.all([sees(ann, 'Bo'), sees(bo, 'Ann')]);
  const arriveBoth = async (options) => {
    const room = callers.newRoom();
    return [await callers.arrive('Ann', { room, ...options }), await callers.arrive('Bo', { room, ...options })];
  };
  const labels = (page) => page.locator('#mute, #camera').allTextContents();
  const noProblems = (pages) => assert.deepEqual(pages.flatMap((page) => page.problems), []);
  const participants = async (room) => (await fetch(`${server.url}/room/${room}`)).json().then((room) => room.participants ?? 0);

  for (const transport of ['websocket', 'xhr-streaming', 'xhr-polling']) {
    it(`connects two with signaling over ${transport} alone`, { timeout: LIMIT }, async () => {
      const pages = await arriveBoth({ transport });
      const [ann, bo] = pages;
      await Promise.all([see(pages), sees(ann, 'Ann (you)')]);
      await say(bo, 'Can you hear me?');
      await hears(ann, 'Can you hear me?');
      for (const page of pages) {
        assert.equal(await page.locator('#transport').textContent(), transport);
        assert.equal(await connections(page), 1);
      }
      noProblems(pages);
    });
  }

  it('connects four with each other', { timeout: 2 * LIMIT }, async () => {
    const room = callers.newRoom();
    const names = ['Ann', 'Bo', 'Cy', 'Di'];
    const transports = ['websocket', 'xhr-streaming', 'xhr-polling', ''];
    const pages = await Promise.all(names.map((name, at) => callers.arrive(name, { room, transport: transports[at] })));
    await Promise.all(pages.flatMap((page, own) => names.filter((_, at) => at !== own).map((name) => sees(page, name))));
    await say(pages[2], 'All here?');
    for (const page of [pages[0], pages[1], pages[3]]) await hears(page, 'All here?');
    for (const page of pages) {
      assert.equal(await page.locator('#tiles .tile').count(), 4);
      assert.equal(await page.locator('#here-count').textContent(), '4 people');
      assert.equal(await connections(page), 3);
    }
    noProblems(pages);
  });

  // The server tells the later participant to begin. Here both begin, and neither hears the other's
  // offer before its own has left: the polite peer takes its own back, and one connection remains.
  it('connects two who call at the same moment', { timeout: LIMIT }, async () => {
    const room = callers.newRoom();
    const offers = [];
    const held = [];
    const eager = (name) => (page) => between(page, {
      change(message, pass) {
        for (const participant of [message.participant, ...(message.participants ?? [])]) if (participant) participant.initiate = true;
        if (message.type === 'offer' && offers.length < 2) {
          held.push(() => pass(message));
        } else {
          pass(message);
        }
      },
      said({ type }) {
        if (type === 'offer') offers.push(name);
        if (offers.length >= 2) held.splice(0).forEach((release) => release());
      },
    });
    const pages = await Promise.all(['Ann', 'Bo'].map((name) => callers.arrive(name, { room, prepare: eager(name) })));
    await see(pages);
    assert.deepEqual(offers.slice(0, 2).sort(), ['Ann', 'Bo']);
    for (const page of pages) assert.equal(await connections(page), 1);
    noProblems(pages);
  });

  it('finds a new path when both restart ICE at once, and pictures go on', { timeout: LIMIT }, async () => {
    const pages = await arriveBoth();
    await see(pages);
    const before = await Promise.all(pages.map(fragment));
    await Promise.all(pages.map((page) => page.locator('#tab-links').click()));
    await Promise.all(pages.map((page) => page.getByText('Restart ICE').click()));
    await Promise.all(pages.map((page, at) => changesFrom(page, before[at])));
    await see(pages);
    for (const page of pages) assert.equal(await connections(page), 1);
    noProblems(pages);
  });

  // Every description waits until all candidates that belong to it have gone ahead: a page that
  // dropped them would know no path at all.
  it('takes candidates that come before their description', { timeout: LIMIT }, async () => {
    const room = callers.newRoom();
    const sides = { Ann: { said: 0, heard: 0 }, Bo: { said: 0, heard: 0 } };
    const others = { Ann: 'Bo', Bo: 'Ann' };
    const late = [];
    const release = (name) => {
      const side = sides[name];
      const other = sides[others[name]];
      if (!side.deliver || !other.isComplete || side.heard < other.said) return;
      late.push(side.heard);
      side.deliver();
      side.deliver = null;
    };
    const holdBack = (name) => (page) => between(page, {
      change(message, pass) {
        if (message.type === 'offer' || message.type === 'answer') {
          sides[name].deliver = () => pass(message);
        } else {
          pass(message);
          if (message.type === 'ice') sides[name].heard += 1;
        }
        release(name);
      },
      said({ type }) {
        if (type === 'ice') sides[name].said += 1;
      },
    });
    const pages = await Promise.all(Object.keys(sides).map((name) => callers.arrive(name, { room, prepare: holdBack(name) })));
    await Promise.all(pages.map(async (page, at) => {
      await page.waitForFunction(() => window.connections[0]?.iceGatheringState === 'complete');
      const name = Object.keys(sides)[at];
      sides[name].isComplete = true;
      release(others[name]);
    }));
    await see(pages);
    assert.equal(late.length, 2);
    assert.ok(late.every((candidates) => candidates > 0), `${late}`);
    noProblems(pages);
  });

  it('lets one leave and return, also by reloading the page', { timeout: LIMIT }, async () => {
    const pages = await arriveBoth();
    const [ann, bo] = pages;
    await sees(ann, 'Bo');
    await bo.locator('#leave').click();
    await inState(bo, 'lobby');
    await notices(ann, 'Bo has left.');
    assert.equal(await ann.locator('#tiles .tile').count(), 1);
    await ann.locator('#alone').waitFor();
    assert.equal(await bo.locator('#tiles .tile').count(), 0, 'the camera is closed');

    await join(bo);
    await see(pages);
    await bo.reload();
    await inState(bo, 'in');
    await see(pages);
    assert.equal(await ann.locator('#tiles .tile').count(), 2);
    noProblems(pages);
  });

  // The token brings the same seat back, and with it the messages sent meanwhile: Bo's new offer,
  // made while his page had no connection, arrives.
  for (const transport of ['websocket', 'xhr-polling']) {
    it(`goes on while signaling over ${transport} is cut for five seconds`, { timeout: LIMIT }, async () => {
      const line = await startLine(server.port);
      try {
        const room = callers.newRoom();
        const ann = await callers.arrive('Ann', { room, transport });
        const bo = await callers.arrive('Bo', { room, transport, at: line.url });
        await see([ann, bo]);
        const before = await fragment(ann);
        line.cut();
        const mended = new Promise((resolve) => setTimeout(resolve, 5_000)).then(() => line.mend());
        await inState(bo, 'cut');
        await bo.locator('#tab-links').click();
        await bo.getByText('Restart ICE').click();
        await bo.locator('#tab-chat').click();
        await say(bo, 'I have no server');
        await hears(ann, 'I have no server');
        await see([ann, bo]);

        await mended;
        await inState(bo, 'in');
        await changesFrom(ann, before);
        await see([ann, bo]);
        for (const page of [ann, bo]) {
          assert.equal(await connections(page), 1);
          assert.equal(await page.locator('#tiles .tile').count(), 2);
          assert.deepEqual(await page.locator('#log .notice', { hasText: /left|anew|back/ }).allTextContents(), []);
        }
        // Bo's page has reported the connections that were refused.
        noProblems([ann]);
      } finally {
        await line.stop();
      }
    });
  }

  it('keeps the call when the transport of its signaling is changed', { timeout: LIMIT }, async () => {
    const pages = await arriveBoth({ transport: 'websocket' });
    const [ann, bo] = pages;
    await see(pages);
    await bo.locator('#tab-settings').click();
    for (const transport of ['eventsource', 'xhr-polling']) {
      await bo.locator('#transport-select').selectOption(transport);
      await bo.locator('#transport', { hasText: new RegExp(`^${transport}$`) }).waitFor();
    }
    const before = await fragment(bo);
    await ann.locator('#tab-links').click();
    await ann.getByText('Restart ICE').click();
    await changesFrom(bo, before);
    await see(pages);
    for (const page of pages) assert.equal(await connections(page), 1);
    noProblems(pages);
  });

  it('joins anew when its seat is gone', { timeout: LIMIT }, async () => {
    const room = callers.newRoom();
    const ann = await callers.arrive('Ann', { room });
    // As after too long an absence: the server does not know the token.
    const forget = (page) => between(page, {
      change(message, pass) {
        if (message.type === 'welcome') message.token = message.token.replace(/./g, '0');
        pass(message);
      },
    });
    const bo = await callers.arrive('Bo', { room, prepare: forget });
    await sees(bo, 'Ann');
    await bo.locator('#tab-settings').click();
    await bo.locator('#transport-select').selectOption('xhr-streaming');
    await bo.locator('#tab-chat').click();
    await notices(bo, 'joined anew');
    await sees(bo, 'Ann');
    assert.equal(await ann.locator('#log .notice', { hasText: 'Bo has joined.' }).count(), 2);
    noProblems([ann, bo]);
  });

  it('begins anew when messages were lost', { timeout: LIMIT }, async () => {
    const room = callers.newRoom();
    const ann = await callers.arrive('Ann', { room });
    const lossy = (page) => between(page, {
      change(message, pass) {
        if (message.type === 'welcome' && message.returned) message.missed = 1;
        pass(message);
      },
    });
    const bo = await callers.arrive('Bo', { room, prepare: lossy });
    await sees(bo, 'Ann');
    await bo.locator('#tab-settings').click();
    await bo.locator('#transport-select').selectOption('websocket'); // reconnects, over the same transport
    await notices(ann, 'Bo has left.');
    await see([ann, bo]);
    noProblems([ann, bo]);
  });

  it('tells a page whose seat another one has taken, and does not fight for it', { timeout: LIMIT }, async () => {
    const room = callers.newRoom();
    const bo = await callers.arrive('Bo', { room });
    const seat = await bo.evaluate(() => sessionStorage.getItem('call-seat'));
    const other = await callers.open({ name: 'Bo', room });
    await other.evaluate((seat) => sessionStorage.setItem('call-seat', seat), seat);
    await join(other);
    assert.match(await trouble(bo, /another tab/), /Join again/);
    await inState(bo, 'lobby');
    assert.equal(await participants(room), 1);
    noProblems([bo, other]);
  });

  it('shows others what one mutes, switches off and on, and changes', { timeout: LIMIT }, async () => {
    const pages = await arriveBoth();
    const [ann, bo] = pages;
    await see(pages);
    assert.deepEqual(await labels(ann), ['Mute', 'Camera off']);
    await ann.locator('#mute').click();
    await tile(bo, 'Ann').getByText('muted').waitFor();
    await ann.locator('#camera').click();
    await tile(bo, 'Ann').and(bo.locator('[data-picture=off]')).waitFor();
    // A button's label says what pressing it does; a state beside it would say the opposite.
    assert.deepEqual(await labels(ann), ['Unmute', 'Camera on']);
    assert.equal(await ann.locator('.control[aria-pressed]').count(), 0);
    assert.equal(await ann.evaluate(() => document.querySelector('.tile.own video').srcObject.getVideoTracks().length), 0, 'its light is out');
    await ann.locator('#camera').click();
    await ann.locator('#mute').click();
    await sees(bo, 'Ann');
    await tile(bo, 'Ann').getByText('muted').waitFor({ state: 'detached' });
    assert.deepEqual(await labels(ann), ['Mute', 'Camera off']);

    for (const page of pages) assert.equal(await connections(page), 1);
    noProblems(pages);
  });

  // Pages that use one camera at once have to agree, so Bo has none here.
  it('changes resolution and camera in the middle of a call', { timeout: LIMIT }, async () => {
    const room = callers.newRoom();
    const pages = [await callers.arrive('Ann', { room }), await callers.arrive('Bo', { room, media: 'watch' })];
    const [ann, bo] = pages;
    await sees(bo, 'Ann');
    await ann.locator('#tab-settings').click();
    await ann.locator('#resolution').selectOption('vga');
    await ann.locator('#actual', { hasText: '640 × 480' }).waitFor();
    await tile(bo, 'Ann').locator('video').evaluate((video) => new Promise((resolve) => {
      const check = () => (video.videoWidth > 320 ? resolve() : video.requestVideoFrameCallback(check));
      check();
    }));
    const before = await ann.evaluate(() => document.querySelector('.tile.own video').srcObject.getVideoTracks()[0].id);
    await ann.locator('#facing').selectOption('environment');
    await ann.waitForFunction((before) => {
      const [track] = document.querySelector('.tile.own video').srcObject.getVideoTracks();
      return track && track.id !== before;
    }, before);
    await sees(bo, 'Ann');
    for (const page of pages) assert.equal(await connections(page), 1);
    noProblems(pages);
  });

  it('shows the facts of a connection, and its offer', { timeout: LIMIT }, async () => {
    const pages = await arriveBoth();
    const [ann] = pages;
    await see(pages);
    await ann.locator('#tab-links').click();
    const row = ann.locator('#links li', { hasText: 'Bo' });
    await row.locator('[data-fact=pair]', { hasText: /^host udp \S+:\d+ ⇄ host udp \S+:\d+$/ }).waitFor();
    await row.locator('[data-fact=trip]', { hasText: /^[\d.]+ ms$/ }).waitFor();
    await row.locator('[data-fact=picture]', { hasText: /^320 × 240, \d+\/s$/ }).waitFor();
    assert.equal(await row.locator('.condition').textContent(), 'connected');
    assert.equal(await row.locator('[data-fact=path]').textContent(), 'direct, in one network');
    await row.getByText('Offer’s SDP').click();
    assert.match(await ann.locator('#offer-sdp').textContent(), /^v=0[^]*m=audio[^]*m=video[^]*m=application/);
    await ann.locator('#offer-close').click();
    noProblems(pages);
  });

  it('shows in the lobby what it would offer, and the picture it would send', { timeout: LIMIT }, async () => {
    const page = await callers.open({ room: callers.newRoom() });
    await page.locator('#preview').click();
    await moves(page.locator('.tile.own video'));
    await page.locator('#show-offer').click();
    // The browser takes a moment to make an offer.
    await page.locator('#offer-sdp').filter({ hasText: 'a=sendrecv' }).waitFor();
    noProblems([page]);
  });

  it('calls nobody before the camera has answered', { timeout: LIMIT }, async () => {
    const room = callers.newRoom();
    const ann = await callers.arrive('Ann', { room });
    const slow = (page) => page.addInitScript(() => {
      const devices = navigator.mediaDevices;
      const original = devices.getUserMedia.bind(devices);
      const answer = new Promise((resolve) => { window.answer = resolve; });
      devices.getUserMedia = (constraints) => answer.then(() => original(constraints));
    });
    const bo = await callers.open({ name: 'Bo', room, prepare: slow });
    await bo.locator('#join').click();
    await inState(bo, 'asking');
    assert.equal(await connections(bo), 0);
    assert.equal(await participants(room), 1);
    await bo.evaluate(() => window.answer());
    await inState(bo, 'in');
    await see([ann, bo]);

    // A participant may also enter without a camera, and add it later.
    const cy = await callers.open({ name: 'Cy', room, prepare: slow });
    await cy.locator('#join').click();
    await cy.locator('#skip-camera').click();
    await inState(cy, 'in');
    await sees(cy, 'Ann');
    assert.equal(await tile(ann, 'Cy').getAttribute('data-picture'), 'off');
    await cy.evaluate(() => window.answer());
    await Promise.all([sees(ann, 'Cy'), sees(bo, 'Cy')]);
    assert.equal(await connections(cy), 2);
    noProblems([ann, bo, cy]);
  });

  it('watches without a camera, and chats by data channel alone', { timeout: LIMIT }, async () => {
    const room = callers.newRoom();
    const ann = await callers.arrive('Ann', { room });
    const bo = await callers.arrive('Bo', { room, media: 'watch' });
    await sees(bo, 'Ann');
    const cy = await callers.arrive('Cy', { room, media: 'chat' });
    await tile(ann, 'Cy').and(ann.locator('[data-state=connected]')).waitFor();
    for (const [page, text] of [[cy, 'From Cy'], [ann, 'From Ann']]) await say(page, text);
    for (const page of [ann, bo, cy]) for (const text of ['From Cy', 'From Ann']) await hears(page, text);
    await ann.locator('#log .mine .fate:empty').waitFor({ state: 'attached' });
    const media = await cy.evaluate(() => window.connections.flatMap((connection) => connection.getTransceivers())
      .filter(({ currentDirection }) => currentDirection !== 'inactive').length);
    assert.equal(media, 0, 'Cy gets neither picture nor sound');
    assert.equal(await tile(cy, 'Ann').getAttribute('data-picture'), 'off');
    // A participant without a camera may add it later.
    await bo.locator('#camera').click();
    await sees(ann, 'Bo');
    noProblems([ann, bo, cy]);
  });

  it('says what to do about a room that is none, a room that is full and a server of another kind', { timeout: LIMIT }, async () => {
    const page = await callers.open({ media: 'chat' });
    for (const room of ['weir', '-1', '1.5', '9007199254740992']) {
      await page.locator('#room').fill(room);
      await page.locator('#join').click();
      assert.match(await trouble(page, /number/), /Random/);
      assert.equal(await page.locator('#room').getAttribute('aria-invalid'), 'true');
    }
    await page.locator('#random').click();
    await page.waitForFunction(() => /^\d+$/.test(document.getElementById('room').value));
    await join(page);

    const room = callers.newRoom();
    const full = await callers.open({
      room,
      media: 'chat',
      prepare: (page) => between(page, {
        change: (message, pass) => pass(message.type === 'welcome' ? { type: 'error', code: 'room_full', message: 'room 7 is full: participants_per_room is 2' } : message),
      }),
    });
    await full.locator('#join').click();
    assert.equal(await trouble(full, /full/), `Room ${room} is full. Join another one, or try again when a participant has left.`);
    await inState(full, 'lobby');

    const other = await startSockeye({ args: ['--endpoint', '/signal=echo'] });
    try {
      const page = await callers.open({ at: other.url, room: 1, media: 'chat' });
      await page.locator('#join').click();
      assert.match(await trouble(page, /no calls/), /--endpoint \/signal=rooms/);
      await inState(page, 'lobby');
    } finally {
      await other.kill();
    }
  });

  // jsonp-polling never learns that a request was lost. The test winds the page's clock on, so that
  // it need not wait.
  it('asks again when the answer to its request to join stays out', { timeout: LIMIT }, async () => {
    let lost;
    const lose = new Promise((resolve) => { lost = resolve; });
    let welcomes = 0;
    const page = await callers.open({
      room: callers.newRoom(),
      media: 'chat',
      async prepare(page) {
        await page.clock.install();
        await between(page, {
          change(message, pass) {
            if (message.type !== 'welcome' || (welcomes += 1) > 1) {
              pass(message);
            } else {
              lost();
            }
          },
        });
      },
    });
    await page.locator('#join').click();
    await lose;
    await inState(page, 'joining');
    await page.clock.fastForward(10_000);
    assert.match(await trouble(page, /did not answer/), /\/signal=rooms/);
    await page.locator('#reconnect').click({ timeout: 2_000 }).catch(() => {});
    await inState(page, 'in');
    assert.deepEqual(page.problems.map((problem) => problem.slice(0, 50)), ['console: sockeye: no answer to the request to join'.slice(0, 50)]);
  });

  it('asks for the token of the ICE servers, and uses them', { timeout: LIMIT }, async () => {
    const guarded = await startSockeye({ args: ['--ice-url', 'stun:127.0.0.1:9', '--ice-token', 'sesame'] });
    try {
      const page = await callers.open({ at: guarded.url, room: 1, media: 'chat' });
      await join(page);
      await page.locator('#tab-settings').click();
      await page.locator('#ice-trouble', { hasText: 'token' }).waitFor();
      await page.locator('#ice-token').fill('sesame');
      await page.locator('#ice-token').press('Tab');
      await page.locator('#ice-trouble:empty').waitFor({ state: 'attached' });
      const other = await callers.arrive('Bo', { at: guarded.url, room: 1, media: 'chat' });
      await page.locator('.tile:not(.own)').waitFor();
      const servers = await page.waitForFunction(() => window.connections[0]?.getConfiguration().iceServers);
      assert.deepEqual(await servers.evaluate((servers) => servers.flatMap(({ urls }) => urls)), ['stun:127.0.0.1:9']);
      noProblems([]);
      await other.locator('#ice-trouble', { hasText: 'token' }).waitFor({ state: 'attached' });
    } finally {
      await guarded.kill();
    }
  });

  describe('without a camera', () => {
    // Each case has a browser of its own: Chromium's devices and permissions are fixed at its start.
    const open = async (options, { host = '127.0.0.1', ...query } = {}) => {
      const other = await launch({ ...options, disabled: FAKE_MEDIA.disabled });
      const room = callers.newRoom();
      const ann = await callers.arrive('Ann', { room });
      const viewport = { width: 360, height: 740 };
      const page = await callers.open({ from: other, at: `http://${host}:${server.port}`, name: 'Bo', room, viewport, ...query });
      return { other, ann, page };
    };
    const LOOPBACK = '--allow-loopback-in-peer-connection';

    for (const { why, args, host, says } of [
      { why: 'there is none', args: ['--use-fake-ui-for-media-stream'], says: /^No camera and no microphone were found\. Plug them in/ },
      { why: 'it is not allowed', args: ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream=deny'], says: /may not use .* Allow it/ },
      {
        why: 'the page is not secure',
        args: ['--use-fake-device-for-media-stream', '--host-resolver-rules=MAP plain.test 127.0.0.1'],
        host: 'plain.test',
        says: /over plain http from plain\.test:\d+\. Open it over https:/,
      },
    ]) {
      it(`says what to do when ${why}, and joins all the same`, { timeout: LIMIT }, async () => {
        const { other, ann, page } = await open({ args: [LOOPBACK, ...args] }, { host });
        try {
          await page.locator('#join').click();
          assert.match(await trouble(page, /./), says);
          await inState(page, 'lobby');
          const { y, height } = await page.locator('#trouble').boundingBox();
          assert.ok(y >= 0 && y + height <= 740, 'it is seen without scrolling');
          await page.locator('#without').click();
          await inState(page, 'in');
          await sees(page, 'Ann');
          await tile(ann, 'Bo').and(ann.locator('[data-state=connected]')).waitFor();
          noProblems([ann, page]);
        } finally {
          await other.close();
        }
      });
    }
  });
});
