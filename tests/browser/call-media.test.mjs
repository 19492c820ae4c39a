// The call page in Chromium: the screen in the camera's place, a choice of devices, a filled
// screen. Cameras, microphones, speakers and the screen are fakes.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Callers, connections, FAKE_MEDIA, moves, notices, sees, tile, trouble } from './support/calls.mjs';
import { launch, LIMIT } from './support/chromium.mjs';
import { startSockeye } from './support/server.mjs';

describe('the call page', () => {
  let server;
  let browser;
  let callers;

  before(async () => {
    [server, browser] = await Promise.all([startSockeye(), launch({ ...FAKE_MEDIA, args: FAKE_MEDIA.args.map(withThree) })]);
    callers = new Callers(browser, server.url);
  });
  afterEach(() => callers.close());
  after(async () => {
    await browser?.close();
    await server?.kill();
  });

  // Several, for a choice; the second of Chromium's fakes is a depth camera, whose pictures can't be sent.
  const withThree = (arg) => arg.replace('fps=10', 'fps=10,device-count=3');
  const noProblems = (pages) => assert.deepEqual(pages.flatMap((page) => page.problems), []);
  const label = (page, id) => page.locator(`#${id} span`).textContent();
  const labelled = (page, id, text) => page.locator(`#${id}`, { hasText: new RegExp(`^${text}$`) }).waitFor();
  const sent = (page, kind) => page.evaluate((kind) => {
    const sender = window.connections[0].getSenders().find(({ track }) => track?.kind === kind);
    return sender ? { id: sender.track.id, device: sender.track.getSettings().deviceId, surface: sender.track.getSettings().displaySurface ?? null } : null;
  }, kind);
  const sends = (page, kind, how) => page.waitForFunction(({ kind, how }) => {
    const track = window.connections[0].getSenders().map((sender) => sender.track).find((track) => track?.kind === kind);
    const { deviceId = '', displaySurface } = track?.getSettings() ?? {};
    return how === 'screen' ? Boolean(displaySurface) : how === 'nothing' ? !track : Boolean(track) && !displaySurface && (how === 'camera' || deviceId === how);
  }, { kind, how });

  describe('with a shared screen', () => {
    const arriveBoth = async (options) => {
      const room = callers.newRoom();
      return [await callers.arrive('Ann', { room, ...options }), await callers.arrive('Bo', { room, media: 'watch' })];
    };

    it('shows it to others in place of the camera, large and whole, and the camera again after it', { timeout: LIMIT }, async () => {
      const [ann, bo] = await arriveBoth();
      await sees(bo, 'Ann');
      assert.equal(await label(ann, 'share'), 'Share screen');
      await ann.locator('#share').click();
      await labelled(ann, 'share', 'Stop sharing');
      await sends(ann, 'video', 'screen');
      await tile(bo, 'Ann').and(bo.locator('[data-screen=theirs]')).waitFor();
      await sees(bo, 'Ann');
      assert.equal(await tile(bo, 'Ann').locator('.flags').textContent(), 'shares a screen, ');
      const [shown, own] = await Promise.all([tile(bo, 'Ann').boundingBox(), bo.locator('.tile.own').boundingBox()]);
      assert.ok(shown.height > 2 * own.height && shown.y < own.y, JSON.stringify({ shown, own }));
      assert.equal(await ann.locator('.tile.own').getAttribute('data-mirrored'), 'no');
      await moves(ann.locator('.tile.own video'));

      await ann.locator('#share').click();
      await labelled(ann, 'share', 'Share screen');
      await sends(ann, 'video', 'camera');
      await tile(bo, 'Ann').and(bo.locator('[data-screen=no]')).waitFor();
      await sees(bo, 'Ann');
      for (const page of [ann, bo]) assert.equal(await connections(page), 1);
      noProblems([ann, bo]);
    });

    // Browsers show a bar of their own with a button that ends sharing; only the track's event tells.
    it('notices that it was ended in the bar of the browser', { timeout: LIMIT }, async () => {
      const [ann, bo] = await arriveBoth();
      await sees(bo, 'Ann');
      await ann.locator('#share').click();
      await sends(ann, 'video', 'screen');
      await tile(bo, 'Ann').and(bo.locator('[data-screen=theirs]')).waitFor();
      await ann.evaluate(() => {
        const { track } = window.connections[0].getSenders().find((sender) => sender.track?.getSettings().displaySurface);
        track.stop();
        track.dispatchEvent(new Event('ended'));
      });
      await notices(ann, 'You no longer share your screen.');
      assert.equal(await label(ann, 'share'), 'Share screen');
      await sends(ann, 'video', 'camera');
      await tile(bo, 'Ann').and(bo.locator('[data-screen=no]')).waitFor();
      await sees(bo, 'Ann');
      noProblems([ann, bo]);
    });

    it('shows it to those who come later, and from a participant without a camera', { timeout: LIMIT }, async () => {
      const room = callers.newRoom();
      const bo = await callers.arrive('Bo', { room, media: 'watch' });
      await bo.locator('#share').click();
      await labelled(bo, 'share', 'Stop sharing');
      const ann = await callers.arrive('Ann', { room, media: 'microphone' });
      await sees(ann, 'Bo');
      await tile(ann, 'Bo').and(ann.locator('[data-screen=theirs]')).waitFor();
      await bo.locator('#share').click();
      await tile(ann, 'Bo').and(ann.locator('[data-picture=off]')).waitFor();
      await sends(bo, 'video', 'nothing');
      noProblems([ann, bo]);
    });

    it('ends it with the call', { timeout: LIMIT }, async () => {
      const [ann] = await arriveBoth();
      await ann.locator('#share').click();
      await labelled(ann, 'share', 'Stop sharing');
      const track = await ann.evaluateHandle(() => document.querySelector('.tile.own video').srcObject.getVideoTracks()[0]);
      await ann.locator('#leave').click();
      assert.equal(await track.evaluate(({ readyState }) => readyState), 'ended');
      noProblems([ann]);
    });

    const refusing = (name, message) => (page) => page.addInitScript(({ name, message }) => {
      navigator.mediaDevices.getDisplayMedia = () => Promise.reject(new DOMException(message, name));
    }, { name, message });

    it('says nothing when the user picks nothing, and what to do when the system refuses', { timeout: LIMIT }, async () => {
      const room = callers.newRoom();
      const ann = await callers.arrive('Ann', { room, media: 'watch', prepare: refusing('NotAllowedError', 'Permission denied by user') });
      await ann.locator('#share').click();
      await ann.locator('#share:not([disabled])').waitFor();
      assert.equal(await ann.locator('#trouble').isVisible(), false);
      assert.equal(await label(ann, 'share'), 'Share screen');
      noProblems([ann]);

      const bo = await callers.arrive('Bo', { room, media: 'watch', prepare: refusing('NotAllowedError', 'Permission denied by system') });
      await bo.locator('#share').click();
      assert.match(await trouble(bo, /system/), /Allow it in the system’s settings/);
      assert.equal(await label(bo, 'share'), 'Share screen');
    });

    it('offers nothing where the browser can share nothing, as on phones', { timeout: LIMIT }, async () => {
      const ann = await callers.arrive('Ann', {
        room: callers.newRoom(),
        media: 'watch',
        prepare: (page) => page.addInitScript(() => { delete MediaDevices.prototype.getDisplayMedia; }),
      });
      assert.equal(await ann.locator('#share').isVisible(), false);
    });
  });

  describe('with a choice of devices', () => {
    const options = (page, id) => page.locator(`#${id} optgroup option`).evaluateAll((all) => all.map(({ value, textContent }) => ({ value, label: textContent })));
    const listed = (page, id, count) => page.locator(`#${id} optgroup option`).nth(count - 1).waitFor({ state: 'attached' });
    const inSettings = async (options) => {
      const page = await callers.arrive('Ann', options);
      await page.locator('#tab-settings').click();
      return page;
    };

    it('sends the camera and the microphone that are chosen, and remembers them', { timeout: LIMIT }, async () => {
      const room = callers.newRoom();
      const ann = await inSettings({ room });
      const bo = await callers.arrive('Bo', { room, media: 'watch' });
      await sees(bo, 'Ann');
      for (const [id, kind] of [['facing', 'video'], ['microphone', 'audio']]) {
        await listed(ann, id, 2);
        const used = (await sent(ann, kind)).device;
        const other = (await options(ann, id)).filter(({ value }) => value !== used).at(-1);
        assert.ok(other.label.length > 0);
        await ann.locator(`#${id}`).selectOption(other.value);
        await sends(ann, kind, other.value);
        assert.equal(await ann.locator(`#${id}`).inputValue(), other.value);
      }
      await sees(bo, 'Ann');
      for (const page of [ann, bo]) assert.equal(await connections(page), 1);
      const [camera, microphone] = await Promise.all(['video', 'audio'].map((kind) => sent(ann, kind)));

      await ann.locator('#leave').click();
      await ann.goto(`${server.url}/call?room=${room}`);
      await ann.locator('#join').click();
      await sees(bo, 'Ann');
      assert.equal((await sent(ann, 'video')).device, camera.device);
      assert.equal((await sent(ann, 'audio')).device, microphone.device);
      noProblems([ann, bo]);
    });

    it('takes another camera when the remembered one is not there', { timeout: LIMIT }, async () => {
      const ann = await inSettings({ room: callers.newRoom(), facing: 'a-camera-left-at-home', microphone: 'a-headset-too' });
      await moves(ann.locator('.tile.own video'));
      await listed(ann, 'facing', 2);
      const shown = await ann.locator('#facing').inputValue();
      assert.equal(shown, (await ann.evaluate(() => document.querySelector('.tile.own video').srcObject.getVideoTracks()[0].getSettings().deviceId)), 'the list tells the truth');
      assert.equal(await label(ann, 'mute'), 'Mute');
      noProblems([ann]);
    });

    it('keeps the sound off when a muted participant takes another microphone', { timeout: LIMIT }, async () => {
      const ann = await inSettings({ room: callers.newRoom(), media: 'microphone' });
      await ann.locator('#mute').click();
      await listed(ann, 'microphone', 2);
      const [{ value }] = await options(ann, 'microphone');
      await ann.locator('#microphone').selectOption(value);
      await ann.locator('#microphone:not([disabled])').waitFor();
      const track = await ann.evaluate(() => {
        const [{ enabled, readyState }] = document.querySelector('.tile.own video').srcObject.getAudioTracks();
        return { enabled, readyState };
      });
      assert.deepEqual(track, { enabled: false, readyState: 'live' });
      assert.equal(await label(ann, 'mute'), 'Unmute');
      noProblems([ann]);
    });

    it('plays the others through the chosen speaker, also those who come later', { timeout: LIMIT }, async () => {
      const room = callers.newRoom();
      const ann = await inSettings({ room, media: 'microphone' });
      await ann.locator('#speaker-row:not([hidden])').waitFor();
      await listed(ann, 'speaker', 1);
      const [{ value }] = await options(ann, 'speaker');
      const bo = await callers.arrive('Bo', { room, media: 'microphone' });
      await tile(ann, 'Bo').and(ann.locator('[data-state=connected]')).waitFor();
      const playsThrough = (name, id) => tile(ann, name).locator('video').evaluate((video, id) => new Promise((resolve) => {
        const look = () => (video.sinkId === id ? resolve() : setTimeout(look, 20));
        look();
      }), id);
      await playsThrough('Bo', '');
      await ann.locator('#speaker').selectOption(value);
      await playsThrough('Bo', value);
      await callers.arrive('Cy', { room, media: 'microphone' });
      await tile(ann, 'Cy').waitFor();
      await playsThrough('Cy', value);
      assert.equal(await ann.locator('.tile.own video').evaluate(({ sinkId }) => sinkId), '', 'one does not hear oneself');
      noProblems([ann, bo]);
    });

    const plugged = (page) => page.addInitScript(() => {
      const devices = navigator.mediaDevices;
      const original = devices.enumerateDevices.bind(devices);
      window.unplugged = '';
      devices.enumerateDevices = async () => (await original()).filter(({ label }) => !window.unplugged || !label.includes(window.unplugged));
      window.unplug = (label) => {
        window.unplugged = label;
        devices.dispatchEvent(new Event('devicechange'));
      };
    });

    it('follows devices that come and go, and keeps the choice of one that is away', { timeout: LIMIT }, async () => {
      const ann = await inSettings({ room: callers.newRoom(), media: 'microphone', prepare: plugged });
      await listed(ann, 'speaker', 1);
      const all = await options(ann, 'speaker');
      const chosen = all.at(-1);
      await ann.locator('#speaker').selectOption(chosen.value);
      await ann.evaluate((label) => window.unplug(label), chosen.label);
      await ann.waitForFunction(() => document.getElementById('speaker').value === '');
      assert.deepEqual(await options(ann, 'speaker'), all.slice(0, -1));
      await ann.evaluate(() => window.unplug(''));
      await ann.waitForFunction((value) => document.getElementById('speaker').value === value, chosen.value);
      noProblems([ann]);
    });

    it('says what to do about a device that was unplugged or can’t be used', { timeout: LIMIT }, async () => {
      const ann = await inSettings({ room: callers.newRoom() });
      await ann.evaluate(() => {
        const [track] = document.querySelector('.tile.own video').srcObject.getVideoTracks();
        track.stop();
        track.dispatchEvent(new Event('ended'));
      });
      assert.match(await trouble(ann, /camera has stopped/), /choose another one in the settings/);
      assert.equal(await label(ann, 'camera'), 'Camera on');
      await ann.evaluate(() => {
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('in use', 'NotReadableError'));
      });
      const [{ value }] = await options(ann, 'microphone');
      await ann.locator('#microphone').selectOption(value);
      assert.match(await trouble(ann, /does not answer/), /Another program may be using it/);
      assert.equal(await label(ann, 'mute'), 'Microphone on');
    });
  });

  describe('in full screen', () => {
    it('shows pictures, state and troubles alone, until it is left or the call ends', { timeout: LIMIT }, async () => {
      const ann = await callers.arrive('Ann', { room: callers.newRoom(), media: 'watch' });
      const isWhole = (expected) => ann.waitForFunction((expected) => (document.fullscreenElement?.id === 'call') === expected
        && document.getElementById('call').classList.contains('whole') === expected, expected);
      assert.equal(await label(ann, 'whole'), 'Full screen');
      await ann.locator('#whole').click();
      await isWhole(true);
      await labelled(ann, 'whole', 'Leave full screen');
      for (const [part, isShown] of [['.side', false], ['#state', true], ['#tiles', true], ['#leave', true]]) {
        assert.equal(await ann.locator(part).isVisible(), isShown, part);
      }
      await ann.locator('#whole').click();
      await isWhole(false);
      await labelled(ann, 'whole', 'Full screen');
      assert.equal(await ann.locator('.side').isVisible(), true);

      await ann.locator('#whole').click();
      await isWhole(true);
      await ann.evaluate(() => document.exitFullscreen()); // as Escape does
      await isWhole(false);
      await labelled(ann, 'whole', 'Full screen');

      await ann.locator('#whole').click();
      await isWhole(true);
      await ann.locator('#leave').click();
      await isWhole(false);
      noProblems([ann]);
    });

    it('says so where the browser does not let it, and offers nothing where no page can', { timeout: LIMIT }, async () => {
      const room = callers.newRoom();
      const ann = await callers.arrive('Ann', {
        room,
        media: 'watch',
        prepare: (page) => page.addInitScript(() => { Element.prototype.requestFullscreen = () => Promise.reject(new TypeError('not granted')); }),
      });
      await ann.locator('#whole').click();
      await trouble(ann, /does not let this page fill the screen/);
      const bo = await callers.arrive('Bo', {
        room,
        media: 'watch',
        prepare: (page) => page.addInitScript(() => Object.defineProperty(Document.prototype, 'fullscreenEnabled', { get: () => false })),
      });
      assert.equal(await bo.locator('#whole').isVisible(), false);
      noProblems([ann, bo]);
    });
  });
});
