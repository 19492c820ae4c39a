// For tests of calls: a fake camera, media that stays on this host, and pages in rooms.

import { newContext, newPage } from './chromium.mjs';

/** For `launch`: a camera and a microphone that all pages may use at once. */
export const FAKE_MEDIA = {
  args: [
    '--use-fake-device-for-media-stream=fps=10', '--use-fake-ui-for-media-stream', '--allow-loopback-in-peer-connection',
  ],
  // Chromium hides addresses from pages without a camera behind mDNS names, which no host answers
  // here.
  disabled: ['WebRtcHideLocalIpsWithMdns'],
};

/** Call pages in rooms of their own; `close` ends those that were opened since the last time. */
export class Callers {
  #contexts = [];
  #rooms = 0;

  constructor(browser, url) {
    this.browser = browser;
    this.url = url;
  }

  newRoom() {
    return String((this.#rooms += 1));
  }

  async close() {
    await Promise.all(this.#contexts.splice(0).map((context) => context.close()));
  }

  /** A page that keeps its peer connections in `connections`. */
  async newPage({ from = this.browser, ...options } = {}) {
    const context = await newContext(from, options);
    this.#contexts.push(context);
    await context.addInitScript(() => {
      const Original = window.RTCPeerConnection;
      window.connections = [];
      window.RTCPeerConnection = function (...configuration) {
        const connection = new Original(...configuration);
        window.connections.push(connection);
        return connection;
      };
    });
    return newPage(context);
  }

  /** The call page in its lobby. Small pictures, few of them: many browsers share this machine. */
  async open({ from, at = this.url, prepare, viewport, ...query } = {}) {
    const page = await this.newPage({ from, ...(viewport && { viewport }) });
    await prepare?.(page);
    await page.goto(`${at}/call?${new URLSearchParams({ resolution: 'qvga', rate: 10, ...query })}`);
    return page;
  }

  /** The call page in a room. */
  async arrive(name, options) {
    return join(await this.open({ name, ...options }));
  }
}

export async function join(page) {
  await page.locator('#join').click();
  await inState(page, 'in');
  return page;
}

export const inState = (page, name) => page.locator(`#state[data-state=${name}]`).waitFor();
export const tile = (page, name) => page.locator('#tiles .tile', { has: page.getByText(name, { exact: true }) });

/** Waits until the page shows a participant's picture, and it moves. */
export async function sees(page, name) {
  await tile(page, name).and(page.locator('[data-state=connected][data-picture=on]')).waitFor();
  await moves(tile(page, name).locator('video'));
}

export async function say(page, text) {
  await page.locator('#message').fill(text);
  await page.locator('#send').click();
}

export const hears = (page, text) => page.locator('#log .text').getByText(text, { exact: true }).first().waitFor();
export const notices = (page, text) => page.locator('#log .notice', { hasText: text }).last().waitFor();

/** What the page complains of, when it matches. */
export async function trouble(page, pattern) {
  await page.locator('#error', { hasText: pattern }).waitFor();
  return page.locator('#error').textContent();
}

/** How many peer connections the page has ever made. */
export const connections = (page) => page.evaluate(() => window.connections.length);

/** The ICE username fragment of the peer of a page's first connection. */
export const fragment = (page) => page.evaluate(() => /a=ice-ufrag:(\S+)/.exec(window.connections[0].remoteDescription.sdp)[1]);

/** Waits until the fragment has changed, and the negotiation is over. */
export const changesFrom = (page, before) => page.waitForFunction((before) => {
  const [{ remoteDescription, signalingState }] = window.connections;
  return signalingState === 'stable' && !remoteDescription.sdp.includes(`a=ice-ufrag:${before}`);
}, before);

/** Waits until the picture of a video goes on by some frames from now. */
export async function moves(video) {
  const element = await video.elementHandle();
  await element.evaluate((video) => {
    video.framesFromNow = 0;
    const count = () => {
      video.framesFromNow += 1;
      video.requestVideoFrameCallback(count);
    };
    video.requestVideoFrameCallback(count);
  });
  await video.page().waitForFunction((video) => video.framesFromNow >= 5 && video.videoWidth > 0, element);
}

/**
 * Changes what the server says to a page over SockJS in a WebSocket: `change(message, pass)` gets each message and passes on what the
 * page is to hear, now or later. `said` gets what the page says.
 */
export async function between(page, { change = (message, pass) => pass(message), said = () => {} }) {
  await page.routeWebSocket(/\/signal\//, (near) => {
    const far = near.connectToServer();
    const pass = (message) => near.send(`a${JSON.stringify([JSON.stringify(message)])}`);
    near.onMessage((frame) => {
      JSON.parse(frame).forEach((text) => said(JSON.parse(text)));
      far.send(frame);
    });
    far.onMessage((frame) => {
      if (frame[0] !== 'a') {
        near.send(frame);
        return;
      }
      JSON.parse(frame.slice(1)).forEach((text) => change(JSON.parse(text), pass));
    });
  });
}
