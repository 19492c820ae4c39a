// The real sockjs-clients, as scripts for a browser.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const require = createRequire(import.meta.url);
const installed = (path) => require.resolve(path);

/** Source of a sockjs-client for the browser, by version. */
export function clientSource(version) {
  if (version === '1.0.2') return bundledFromNpm('sockjs-client-1.0.2');
  const name = version === '1.6.1' ? 'sockjs-client' : `sockjs-client-${version}`;
  return readFileSync(installed(`${name}/dist/sockjs.min.js`), 'utf8');
}

export const jquerySource = () => readFileSync(installed('jquery/dist/jquery.min.js'), 'utf8');

// The npm package of 1.0.2 carries no bundle, so its modules are bundled here
// the way its authors did: with the `browser` field of its package.json.
function bundledFromNpm(name) {
  const { outputFiles } = buildSync({
    stdin: {
      contents: `window.SockJS = require('${name}');`,
      resolveDir: fileURLToPath(new URL('..', import.meta.url)),
    },
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    define: { global: 'window', 'process.env.NODE_ENV': '"production"' },
    logLevel: 'error',
  });
  return outputFiles[0].text;
}
