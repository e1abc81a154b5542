import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ContactServiceDefinition } from '../../proto/gen/warren/member/v1/member.ts';
import { served } from '../../services/lib/rpc/definition.ts';
import { openGrpc } from '../../services/lib/rpc/grpc-client.ts';
import { connectToDaemon } from '../../services/lib/rpc/local-daemon.ts';
import { startOwnerEndpoint } from '../../services/member/owner-endpoint.ts';
import { temporaryDir } from '../support/broker.ts';

async function start(dataDir: string) {
  await mkdir(join(dataDir, 'member'), { recursive: true, mode: 0o700 });
  const warnings: string[] = [];
  const contact = served(ContactServiceDefinition, {
    ping: async () => ({ memberId: 'me', name: '', callerId: '' }),
  });
  const endpoint = await startOwnerEndpoint(dataDir, [contact], line => warnings.push(line));
  onTestFinished(() => endpoint.close(0));
  return { endpoint, warnings };
}

async function ask(dataDir: string): Promise<unknown> {
  const connection = await connectToDaemon(dataDir);
  try {
    return await connection.client(ContactServiceDefinition).ping({}, { deadlineMs: 3_000 });
  } finally {
    connection.close();
  }
}

test('is a socket that is the owner’s alone, and takes the place of one that a dead daemon left', async () => {
  const dir = await temporaryDir();
  await start(dir);
  const { warnings } = await start(dir);
  expect(await ask(dir)).toMatchObject({ memberId: 'me' });
  expect((await stat(join(dir, 'member', 'daemon.sock'))).mode & 0o777).toBe(0o600);
  expect(warnings).toEqual([]);
});

test('is loopback with a token where the path is too long for a socket; nobody else gets a call through', async () => {
  const dir = join(await temporaryDir(), 'x'.repeat(100));
  await start(dir);
  expect(await ask(dir)).toMatchObject({ memberId: 'me' });
  const file = join(dir, 'member', 'daemon.json');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const { port, token } = JSON.parse(await readFile(file, 'utf8'));
  expect(token).toMatch(/^[0-9a-f]{64}$/);
  const stranger = openGrpc(`127.0.0.1:${port}`, credentials.createInsecure());
  onTestFinished(() => stranger.close());
  await expect(stranger.client(ContactServiceDefinition).ping({})).rejects.toMatchObject({ status: 'UNAUTHENTICATED' });
});

test('that is not there, or damaged, is said in one line', async () => {
  const dir = await temporaryDir();
  await expect(connectToDaemon(dir)).rejects.toMatchObject({
    code: 'DAEMON_NOT_RUNNING',
    message: `no member runs for ${dir}: warren member --data ${dir}`,
  });
  const { endpoint } = await start(dir);
  await endpoint.close(0);
  await expect(connectToDaemon(dir)).rejects.toMatchObject({ code: 'DAEMON_NOT_RUNNING' });
  const { writeFile } = await import('node:fs/promises');
  await writeFile(join(dir, 'member', 'daemon.json'), '{"port":"x"}');
  await expect(connectToDaemon(dir)).rejects.toMatchObject({ code: 'DAEMON_ENDPOINT' });
  await rm(dir, { recursive: true });
});

test('does not cut off a program that is there and silent for a while', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const dir = await temporaryDir();
  await start(dir);
  const socket = connect(join(dir, 'member', 'daemon.sock'));
  onTestFinished(() => {
    socket.destroy();
  });
  // HTTP/2's preface, and settings that are the usual ones; then nothing, as of a program that is stopped. Pings stay without an answer.
  socket.write(
    Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]),
  );
  const isCut = new Promise<boolean>(resolve => socket.once('close', () => resolve(true)));
  await new Promise(resolve => socket.once('data', resolve));
  socket.resume();
  for (let seconds = 0; seconds < 45; seconds++) {
    await vi.advanceTimersByTimeAsync(1_000);
    await new Promise(resolve => setImmediate(resolve));
  }
  // The answer of a call says that the endpoint has had its turn.
  expect(await Promise.race([isCut, ask(dir)])).toMatchObject({ memberId: 'me' });
});
