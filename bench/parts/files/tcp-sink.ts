import { connect } from 'node:net';

export interface SinkOrder {
  readonly port: number;
  readonly bytes: number;
}

/** Reads so many bytes from a port and drops them. The time counts from the first byte: the way there is not the road's width. */
process.on('message', ({ port, bytes }: SinkOrder) => {
  let startedAt = 0;
  let received = 0;
  const socket = connect(port, '127.0.0.1', () => {});
  socket.on('data', chunk => {
    if (received === 0) startedAt = performance.now();
    received += chunk.length;
    if (received < bytes) return;
    process.send?.({ seconds: (performance.now() - startedAt) / 1000 });
    socket.destroy();
  });
  socket.on('error', error => process.send?.({ problem: String(error) }));
});
process.send?.('ready');
