// nginx in front of a server, as it stands in front of real ones.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { LIMIT } from './chromium.mjs';

/** Directives with which a location passes WebSockets on. */
export const PASS_UPGRADE = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $upgrade;';

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/**
 * Passes everything on to `port` of this host, the way that `location`, nginx directives, says; as a function it gets
 * the port of nginx. `beside` are further directives of the server. Without any, nginx passes no Upgrade on and takes bodies of up to 1 MiB.
 */
export function startNginx({ port, location = '', beside = '' }) {
  return startNginxWith((own) => `
  map $http_upgrade $upgrade { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${own};
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    ${beside}
    location / { proxy_pass http://127.0.0.1:${port}; ${typeof location === 'function' ? location(own) : location} }
  }
`);
}

/** With what `http`, a function of the port to listen on, says that stands inside of `http { }`. */
export async function startNginxWith(http) {
  const program = find();
  const folder = mkdtempSync(join(tmpdir(), 'sockeye-nginx-'));
  const own = await freePort();
  writeFileSync(join(folder, 'nginx.conf'), `
daemon off;
master_process off;
pid ${folder}/pid;
error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${folder}/${what};`).join('\n  ')}
  ${http(own)}
}
`);

  const child = spawn(program, ['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')], { stdio: ['ignore', 'ignore', 'pipe'] });
  running.add(child);
  const exited = once(child, 'exit').finally(() => running.delete(child));
  exited.catch(() => {});
  let output = '';
  child.stderr.on('data', (chunk) => { output = (output + chunk).slice(-20_000); });

  const url = `http://127.0.0.1:${own}`;
  const stop = async () => {
    if (running.has(child)) child.kill('SIGKILL');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await answers(url, () => running.has(child), () => output);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, port: own, output: () => output, stop };
}

// Debian installs it in a directory that only root has in its path.
function find() {
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'].map((place) => join(place, 'nginx'));
  const found = [process.env.NGINX, ...places].find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (!found) throw new Error('These tests need nginx: run "make nginx" as root, or install it, or set NGINX to its path');
  return found;
}

// nginx cannot listen on any free port.
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function answers(url, isRunning, output) {
  const until = Date.now() + LIMIT;
  for (;;) {
    const status = await fetch(`${url}/healthz`).then((answer) => answer.status, () => 0);
    if (status === 200) return;
    if (!isRunning() || Date.now() > until) throw new Error(`nginx does not pass requests on (status ${status}):\n${output()}`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}
