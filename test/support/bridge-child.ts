import { connect, createServer } from 'node:net';

/**
 * Run on a host of `hosts.ts`: carries the TCP connections that come to an address there to a Unix socket, which reaches over from one
 * network namespace into another. Arguments: `HOST:PORT=SOCKET`, several.
 */
let waiting = process.argv.length - 2;
for (const argument of process.argv.slice(2)) {
  const [place = '', path = ''] = argument.split('=');
  const [host, port] = place.split(':');
  const server = createServer({ noDelay: true }, near => {
    const far = connect(path);
    near.on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    near.pipe(far).pipe(near);
  });
  server.listen(Number(port), host, () => {
    waiting--;
    if (waiting === 0) console.log('bridged');
  });
}
