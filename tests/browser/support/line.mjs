// A network between a page and its server, which tests can break.

import { createServer, connect } from 'node:net';
import { once } from 'node:events';

/** Passes connections on to a port of this host, until it is cut. */
export async function startLine(port) {
  const pairs = new Set();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) {
      near.destroy();
      return;
    }
    const pair = { near, far: connect(port, '127.0.0.1'), isLost: false };
    pairs.add(pair);
    for (const [socket, other] of [[near, pair.far], [pair.far, near]]) {
      socket.on('error', () => {});
      socket.on('close', () => {
        if (pair.isLost) return;
        pairs.delete(pair);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: own } = server.address();
  return {
    url: `http://127.0.0.1:${own}`,
    /** Ends all connections, and new ones. */
    cut() {
      isCut = true;
      this.end();
    },
    /** Ends new connections, and leaves the others alone. */
    refuse() {
      isCut = true;
    },
    mend() {
      isCut = false;
    },
    /** Drops all bytes of the connections that are open now, or only those to the page, without a sign. */
    lose({ onlyToPage = false } = {}) {
      for (const pair of pairs) {
        pair.isLost = true;
        pair.far.unpipe(pair.near);
        pair.far.resume();
        if (onlyToPage) continue;
        pair.near.unpipe(pair.far);
        pair.near.resume();
      }
    },
    end() {
      for (const { near, far } of pairs) {
        near.destroy();
        far.destroy();
      }
      pairs.clear();
    },
    async stop() {
      this.cut();
      server.close();
      await once(server, 'close');
    },
  };
}
