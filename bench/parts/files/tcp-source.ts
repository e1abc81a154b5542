import { createServer } from 'node:net';

/** Sends bytes of memory to whoever connects, until they hang up: what a relay is measured with. */
const block = Buffer.alloc(2 ** 20, 'x');
const server = createServer({ noDelay: true }, socket => {
  const send = (): void => {
    while (socket.write(block));
  };
  socket.on('drain', send).on('error', () => {});
  send();
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.send?.({ port: typeof address === 'object' ? address?.port : undefined });
});
process.on('SIGTERM', () => process.exit());
