// Starts the programs under test on ephemeral ports and ends them by their own handle.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const target = (path) => fileURLToPath(new URL(`../../../target/debug/${path}`, import.meta.url));

const SOCKEYE = process.env.SOCKEYE_BIN ?? target('sockeye');
const CONFORMANCE = process.env.SOCKEYE_CONFORMANCE_BIN ?? target('examples/conformance');
const START_LIMIT = 60_000;

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** The `sockeye` binary; `port` 0 is any free one. */
export function startSockeye({ port = 0, args = [] } = {}) {
  return start(SOCKEYE, ['--listen', `127.0.0.1:${port}`, ...args]);
}

/** The `conformance` example, whose iframe page loads the client from `clientUrl`. */
export function startConformance({ clientUrl } = {}) {
  return start(CONFORMANCE, ['0'], clientUrl ? { SOCKJS_CLIENT_URL: clientUrl } : {});
}

async function start(program, args, env = {}) {
  const child = spawn(program, args, {
    // One line for each session's end: a failing test's first clue.
    env: { RUST_LOG: 'sockeye=debug', ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const exited = once(child, 'exit').finally(() => running.delete(child));
  exited.catch(() => {});

  let output = '';
  const url = await new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`${program} did not say where it listens:\n${output}`)), START_LIMIT);
    const settle = (then, value) => {
      clearTimeout(limit);
      then(value);
    };
    const read = (chunk) => {
      output = (output + chunk).slice(-20_000);
      const found = /listening on (http:\/\/[^\s/]+:\d+)/i.exec(output);
      if (found) settle(resolve, found[1]);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.on('error', (error) => settle(reject, new Error(`cannot run ${program}: ${error.message}; build it first, or set SOCKEYE_BIN and SOCKEYE_CONFORMANCE_BIN`)));
    child.on('exit', (code) => settle(reject, new Error(`${program} ended with ${code}:\n${output}`)));
  });

  return {
    url,
    port: Number(new URL(url).port),
    output: () => output,
    async kill() {
      if (running.has(child)) child.kill('SIGKILL');
      await exited;
    },
  };
}
