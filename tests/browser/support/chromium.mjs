// Chromium with a fresh profile, and pages that keep every error and warning.

import { chromium } from 'playwright-core';

// No test waits for time to pass; this bounds how long a failing test takes.
export const LIMIT = 60_000;

/** `args` are further ones; `disabled` are further features to switch off, for which only one flag may be given. */
export function launch({ args = [], disabled = [] } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      // Pages that a test serves by itself come from no network that Chromium knows: it asks before
      // they may reach this host.
      `--disable-features=${['LocalNetworkAccessChecks', ...disabled].join(',')}`,
      ...args,
    ],
    timeout: LIMIT,
  });
}

/**
 * A context of its own, so its own cookies, storage and cache.
 *
 * `without` lists globals to remove before any script runs, in frames too; `patient`
 * is whether sockjs-client gets the time that a busy machine needs.
 */
export async function newContext(browser, { without = [], patient = true, ...options } = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(LIMIT);
  if (patient) await context.addInitScript(patientClient);
  await context.addInitScript((names) => names.forEach((name) => delete window[name]), without);
  return context;
}

/** A page with `problems`, so far: uncaught exceptions, console errors, and warnings of our own scripts. */
export async function newPage(context) {
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(`uncaught: ${error.stack ?? error}`));
  page.on('console', (message) => {
    // Chromium asks for it where a page names no icon, and reports the 404 as an error.
    if (message.location().url.endsWith('/favicon.ico')) return;
    const ours = message.type() === 'warning' && message.text().startsWith('sockeye:');
    if (ours || message.type() === 'error') page.problems.push(`console: ${message.text()} (${message.location().url})`);
  });
  return page;
}

// sockjs-client allows a transport two round trips or so to open, about 600 ms
// here, and an iframe 2 s after its load event. On a machine whose cores are all
// busy that makes the choice of transport a matter of luck, so both are stretched.
function patientClient() {
  let client;
  Object.defineProperty(window, 'SockJS', {
    configurable: true,
    get: () => client,
    set(loaded) {
      loaded.prototype.countRTO = () => 20_000;
      client = loaded;
    },
  });
  const setTimeout = window.setTimeout;
  window.setTimeout = (run, delay, ...rest) => setTimeout(run, delay === 2000 ? 20_000 : delay, ...rest);
}
