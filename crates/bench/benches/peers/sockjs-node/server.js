// An echo and a broadcast by sockjs-node, on a port that the first line tells.
'use strict';

const http = require('http');
const sockjs = require('sockjs');

function endpoint(prefix, connected) {
  const service = sockjs.createServer({ prefix, log() {} });
  service.on('connection', connected);
  return service;
}

const echo = endpoint('/echo', (connection) => {
  connection.on('data', (message) => connection.write(message));
});

const all = new Set();
const broadcast = endpoint('/broadcast', (connection) => {
  all.add(connection);
  connection.on('close', () => all.delete(connection));
  connection.on('data', (message) => {
    for (const other of all) other.write(message);
  });
});

// Asked before and after memory is measured; node has gc() with --expose-gc.
const server = http.createServer((request, response) => {
  if (request.url === '/collect' && global.gc) global.gc();
  response.writeHead(request.url === '/collect' && global.gc ? 200 : 404).end();
});
server.keepAliveTimeout = 0;
echo.installHandlers(server);
broadcast.installHandlers(server);
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
