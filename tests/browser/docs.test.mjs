// The blocks of nginx, HTML and JavaScript on the pages of this project, run as they stand there.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { request } from 'node:http';
import { after, before, describe, it } from 'node:test';
import SockJS from 'sockjs-client';
import { LIMIT, launch, newContext, newPage } from './support/chromium.mjs';
import { clientSource } from './support/clients.mjs';
import { exchange } from './support/exchange.mjs';
import { startNginxWith } from './support/nginx.mjs';
import { startSockeye } from './support/server.mjs';

// See `patientClient` in support/chromium.mjs.
SockJS.prototype.countRTO = () => 20_000;

const ROOT = new URL('../../', import.meta.url);
const PAGES = ['README.md', ...readdirSync(new URL('docs/', ROOT)).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];
const BLOCK = /^```(\w+)[^\n]*\n(.*?)^```$/gms;

/** Blocks of a language, each with the place where it stands. */
const blocks = (language) => PAGES.flatMap((page) => {
  const text = readFileSync(new URL(page, ROOT), 'utf8');
  return [...text.matchAll(BLOCK)].filter((found) => found[1] === language).map((found) => ({
    place: `${page}:${text.slice(0, found.index).split('\n').length}`,
    code: found[2],
  }));
});

let servers = [];
let browser;
before(async () => {
  [browser, ...servers] = await Promise.all([launch(), startSockeye(), startSockeye()]);
});
after(async () => {
  await browser?.close();
  await Promise.all(servers.map((server) => server.kill()));
});

describe('nginx', () => {
  const found = blocks('nginx');
  it('has blocks', () => assert.ok(found.length > 0));

  for (const { place, code } of found) {
    it(`passes everything on by ${place}`, { timeout: 2 * LIMIT }, async () => {
      const nginx = await startNginxWith((own) => replaced(replaced(code, 'listen 80;', `listen 127.0.0.1:${own};`), '127.0.0.1:8080', `127.0.0.1:${servers[0].port}`)
        .replaceAll('127.0.0.1:8081', `127.0.0.1:${servers[1].port}`));
      try {
        assert.equal((await fetch(`${nginx.url}/chat`)).status, 200, 'a page of the default program');
        for (const transport of ['websocket', 'xhr-streaming', 'eventsource', 'xhr-polling']) {
          // Several sessions: with two servers behind nginx, the requests of one session must reach
          // the same server.
          for (let turn = 0; turn < 4; turn += 1) {
            const messages = Array.from({ length: 20 }, (_, at) => `${turn} ${at} ${'x'.repeat(at * 500)}`);
            const result = await exchange(SockJS, { url: `${nginx.url}/echo`, transport, messages });
            assert.deepEqual(result, { transport, count: messages.length, wrong: [], closed: null });
          }
        }
        // A page of this very site may create a room; with a Host that lacks the port it is a stranger's.
        assert.equal(await postFrom(nginx.url, `${nginx.url}/room`, 'id=4711'), 303);
        assert.equal(await postFrom('http://127.0.0.1', `${nginx.url}/room`, 'id=4712'), 403);
        assert.doesNotMatch(nginx.output(), /\[(emerg|alert|crit|error)\]/);
      } finally {
        await nginx.stop();
      }
    });
  }
});

describe('HTML and JavaScript', () => {
  // Each page changes its title when it has got an answer.
  const shows = async (html) => {
    const context = await newContext(browser);
    try {
      const page = await newPage(context);
      await page.route('https://cdn.jsdelivr.net/npm/sockjs-client@1.6.1/**', (route) => route.fulfill({ contentType: 'text/javascript', body: clientSource('1.6.1') }));
      await page.route(`${servers[0].url}/the-page`, (route) => route.fulfill({ contentType: 'text/html', body: `<!DOCTYPE html><title>before</title>${html}` }));
      await page.goto(`${servers[0].url}/the-page`);
      await page.waitForFunction(() => document.title !== 'before');
      assert.deepEqual(page.problems, []);
    } finally {
      await context.close();
    }
  };
  const here = (code) => code.replaceAll('127.0.0.1:8080', new URL(servers[0].url).host);

  for (const { place, code } of blocks('html')) {
    it(`gets an answer by ${place}`, { timeout: LIMIT }, () => shows(here(code)));
  }

  for (const { place, code } of blocks('js')) {
    if (code.includes('require(')) {
      it(`is a program in ${place}`, () => {
        const { status, stderr } = spawnSync(process.execPath, ['--check', '-'], { input: code, encoding: 'utf8' });
        assert.equal(status, 0, stderr);
      });
    } else {
      it(`gets an answer by ${place}`, { timeout: LIMIT }, () => shows(`<script>${clientSource('1.6.1')}</script><script>${here(code)}</script>`));
    }
  }
});

/** The status of a form that a page of `origin` sends; `fetch` says of itself where it comes from. */
async function postFrom(origin, url, body) {
  const headers = { Origin: origin, Accept: 'text/html', 'Content-Type': 'application/x-www-form-urlencoded' };
  const sent = request(url, { method: 'POST', headers }).end(body);
  const [answer] = await once(sent, 'response');
  answer.resume();
  return answer.statusCode;
}

/** Fails when a block no longer says this: then it is not the block that the test was written for. */
function replaced(code, what, by) {
  assert.ok(code.includes(what), `${what} in ${code}`);
  return code.replaceAll(what, by);
}
