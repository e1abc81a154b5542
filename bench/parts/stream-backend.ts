import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

/** Says and takes bytes as fast as it can, events with the time at which they were said, and WebSocket messages back. */
const block = Buffer.alloc(64 * 1024, 'x');

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://backend');
  if (request.method === 'POST') {
    request.resume().on('end', () => response.end('thanks'));
    return;
  }
  if (pathname === '/events') {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const timer = setInterval(() => response.write(`data: ${process.hrtime.bigint()}\n\n`), 5);
    response.on('close', () => clearInterval(timer));
    return;
  }
  let left = Number(searchParams.get('mib') ?? 0) * 16;
  const more = (): void => {
    while (left-- > 0) if (!response.write(block)) return void response.once('drain', more);
    response.end();
  };
  if (left > 0) response.setHeader('content-length', left * block.length);
  more();
});
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', socket => {
  socket.on('message', (data, binary) => socket.send(data, { binary }));
  socket.on('error', () => {});
});
server.listen(Number(process.argv[2]), '127.0.0.1');
