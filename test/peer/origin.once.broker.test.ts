import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { SessionServiceDefinition } from '../../proto/gen/warren/member/v1/session.ts';
import { connectToDaemon } from '../../services/lib/rpc/local-daemon.ts';
import { Network } from '../directory/network-of-processes.ts';
import { ownBroker } from '../support/broker.ts';
import { sampleContent } from './parts/content.ts';
import { Member, sha256Of } from './parts/member.ts';

/** A client that has the origin's proto text and nothing else. */
type Method = (request: object, answer: (error: Error | null, reply: unknown) => void) => void;
type OriginClient = Record<string, Method> & { close(): void };

const text = resolve(import.meta.dirname, '../../proto/pserver.proto');
const password = 'correct horse';
let network: Network;
let ann: Member;
let bob: Member;

beforeAll(async () => {
  network = await Network.start(await ownBroker({ management: true }));
  ann = await Member.join(network, 'ann');
  bob = await Member.join(network, 'bob', [], { WARREN_USER_PASSWORD: password });
  await Promise.all([ann.start(['--origin-port', '0']), bob.start(['--origin-port', '0'])]);
}, 120_000);
afterAll(async () => {
  await Promise.all([ann?.kill(), bob?.kill()]);
  await network?.close();
});

async function clientOf(member: Member): Promise<(method: string, request: object) => Promise<unknown>> {
  const line = await member.process.line(/^the origin's clients are served at/);
  const { PServer } = loadPackageDefinition(loadSync(text, { keepCase: true, defaults: true })) as unknown as {
    PServer: new (address: string, channel: unknown) => OriginClient;
  };
  const client = new PServer(line.split(' ').at(-1) ?? '', credentials.createInsecure());
  onTestFinished(() => client.close());
  return (method, request) =>
    new Promise((resolve, reject) =>
      client[method]?.(request, (error, reply) => (error === null ? resolve(reply) : reject(error))),
    );
}

test("the origin's client moves files, with nothing but the origin's eight methods", async () => {
  const [call, callAnn] = [await clientOf(bob), await clientOf(ann)];
  expect(await call('RequestLogIn', { username: 'bob', password })).toEqual({ status_code: 200 });
  expect(await call('RequestLogIn', { username: 'bob', password: 'wrong' })).toEqual({ status_code: 401 });
  expect(await call('RequestPinging', {})).toEqual({ status_code: 200 });
  expect(await call('ListIndex', {})).toEqual({ my_list: [] });
  await writeFile(join(ann.share, 'song.mp3'), sampleContent(2 * 2 ** 20).bytes);
  await bob.finds('song');
  expect(await call('DownloadFile', { file_name: 'song.mp3' })).toEqual({ status_code: 200 });
  expect(await sha256Of(join(bob.share, 'song.mp3'))).toBe(await sha256Of(join(ann.share, 'song.mp3')));
  expect(await call('ListIndex', {})).toEqual({ my_list: ['song.mp3'] });
  expect(await call('DownloadFile', { file_name: 'no such song.mp3' })).toEqual({ status_code: 404 });
  expect(await call('UploadFile', { file_name: 'no such song.mp3' })).toEqual({ status_code: 404 });

  await writeFile(join(bob.share, 'mine.mp3'), sampleContent(3 * 2 ** 20, 2).bytes);
  await ann.finds('mine');
  expect(await call('UploadFile', { file_name: 'mine.mp3' })).toEqual({ status_code: 200 });
  expect(await sha256Of(join(ann.share, 'mine.mp3'))).toBe(await sha256Of(join(bob.share, 'mine.mp3')));
  // As the peers of the origin asked each other.
  await writeFile(join(bob.share, 'asked for.mp3'), sampleContent(2 ** 20, 3).bytes);
  await ann.finds('asked');
  const url = /port (\d+)$/.exec(await ann.process.line(/serves members on port/))?.[1];
  expect(await call('RequestFile', { url: `127.0.0.1:${url}`, file_name: 'asked for.mp3' })).toEqual({
    status_code: 200,
  });
  expect(await callAnn('RequestUpload', { file_name: 'asked for.mp3' })).toEqual({ status_code: 200 });
  expect(await sha256Of(join(ann.share, 'asked for.mp3'))).toBe(await sha256Of(join(bob.share, 'asked for.mp3')));
  expect(await call('RequestLogOut', { url: '' })).toEqual({ status_code: 200 });
  // It stays off the list of the active ones, whatever its daemon pings.
  const owner = await connectToDaemon(bob.home);
  expect(await owner.client(SessionServiceDefinition).getSession({})).toMatchObject({ isLoggedIn: false });
  owner.close();
}, 90_000);
