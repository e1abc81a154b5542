import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { listen } from '../../services/lib/listen.ts';
import { type Relay, startRelay } from './tcp-relay.ts';

/** A server that sends back what it gets, behind a relay. */
async function echo(): Promise<{ relay: Relay; dial(port?: number): Promise<Socket>; port: number }> {
  const server = createServer(socket => socket.on('error', () => {}).pipe(socket));
  onTestFinished(() => void server.close());
  const target = await listen(server, { host: '127.0.0.1', port: 0 });
  const relay = await startRelay(target);
  onTestFinished(() => relay.close());
  const dial = async (port = relay.port): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  return { relay, dial, port: target };
}

async function say(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [answer] = await once(socket, 'data');
  return String(answer);
}

test('forwards both ways and counts', async () => {
  const { relay, dial } = await echo();
  const socket = await dial();
  expect(await say(socket, 'hello')).toBe('hello');
  expect(relay.connections()).toBe(1);
  socket.end();
  await once(socket, 'close');
  await expect.poll(() => relay.connections()).toBe(0);
});

test('cut resets what is open, and takes new connections', async () => {
  const { relay, dial } = await echo();
  const socket = await dial();
  await say(socket, 'hello');
  const error = once(socket, 'error');
  relay.cut();
  expect((await error)[0]).toMatchObject({ code: 'ECONNRESET' });
  expect(await say(await dial(), 'again')).toBe('again');
});

test('refuse refuses new connections and keeps those that are open, until accept', async () => {
  const { relay, dial } = await echo();
  const socket = await dial();
  await say(socket, 'hello');
  relay.refuse();
  await expect(dial()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  expect(await say(socket, 'still there')).toBe('still there');
  await relay.accept();
  expect(await say(await dial(), 'back')).toBe('back');
});

test('frozen it holds bytes back, either way or both, and thawed it delivers them all', async () => {
  const { relay, dial, port } = await echo();
  const [socket, direct] = [await dial(), await dial(port)];
  await say(socket, 'hello');
  let got = '';
  socket.on('data', chunk => {
    got += chunk;
  });
  let sent = '';
  for (const freeze of [relay.freezeUpstream, relay.freezeDownstream, relay.freeze]) {
    freeze();
    socket.write('held ');
    // Past the relay the echo is back in the meantime, several times.
    for (let i = 0; i < 5; i++) await say(direct, 'passes');
    expect(got).toBe(sent);
    relay.thaw();
    sent += 'held ';
    await expect.poll(() => got).toBe(sent);
  }
});

test('a close that happened while it was frozen arrives when it thaws', async () => {
  const { relay, dial } = await echo();
  const socket = await dial();
  await say(socket, 'hello');
  relay.freezeUpstream();
  socket.end();
  const ended = once(socket, 'close');
  relay.thaw();
  await ended;
  await expect.poll(() => relay.connections()).toBe(0);
});
