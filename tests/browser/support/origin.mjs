// A web server on another origin than the gateway's: an empty page, and the clients.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { clientSource } from './clients.mjs';

export async function startOrigin() {
  const server = createServer((request, response) => {
    const version = /^\/sockjs-([\d.]+)\.js$/.exec(request.url)?.[1];
    response.setHeader('Content-Type', version ? 'text/javascript; charset=utf-8' : 'text/html; charset=utf-8');
    response.end(version ? clientSource(version) : '<!DOCTYPE html><title>elsewhere</title><link rel="icon" href="data:,"><body></body>');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  return {
    url: `http://localhost:${port}`,
    client: (version) => `http://localhost:${port}/sockjs-${version}.js`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
