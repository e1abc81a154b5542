import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { connect as connectTls } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { ContactServiceDefinition, MemberServiceDefinition } from '../../proto/gen/warren/member/v1/member.ts';
import { createBus } from '../../services/bus/amqp-bus.ts';
import { roles } from '../../services/bus/topology.ts';
import { readAuthority } from '../../services/directory/authority-file.ts';
import { directoryClient } from '../../services/directory/client.ts';
import { restDirectoryClient } from '../../services/directory/rest-client.ts';
import { withSession } from '../../services/directory/rest-session.ts';
import { directoryDir } from '../../services/directory/store.ts';
import { issueCertificate } from '../../services/lib/identity/authority.ts';
import { certificateFacts } from '../../services/lib/identity/certificate.ts';
import { formatMemberKeys } from '../../services/lib/identity/keys.ts';
import { openGrpc } from '../../services/lib/rpc/grpc-client.ts';
import { connectToDaemon } from '../../services/lib/rpc/local-daemon.ts';
import { memberChannelCredentials, memberChannelOptions } from '../../services/lib/rpc/member-tls.ts';
import { keepMembership, keptMemberKeys, readMembership } from '../../services/member/home.ts';
import { freePort } from '../../services/up/free-port.ts';
import { memberUrl, Network, warren } from '../directory/network-of-processes.ts';
import { ownBroker, temporaryDir } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { spawnWarren } from '../support/warren-process.ts';
import { type DaemonProcess, spawnDaemon } from './network.ts';

/** Daemons of machines that have joined by invite: real processes, real accounts. */

interface Member {
  readonly home: string;
  readonly daemon: DaemonProcess;
  readonly id: string;
}

async function join(user: string, env: Record<string, string> = {}): Promise<string> {
  const home = await temporaryDir();
  const { code, err } = await warren(['join', await network.invite(), '--data', home, '--user', user], env);
  if (code !== 0) throw new Error(err);
  return home;
}

async function start(home: string, ...more: string[]): Promise<Member> {
  const daemon = await spawnDaemon(home, '--port', '0', ...more);
  onTestFinished(async () => {
    daemon.connection.close();
    await daemon.process[Symbol.asyncDispose]();
  });
  await daemon.process.line(/^member is up$/);
  return { home, daemon, id: (await keptMemberKeys(home)).id };
}

/** Of the certificate that the gRPC server shows in a handshake of its own. */
async function serialShown(port: number, own: { ca: string; cert: string; key: string }): Promise<string> {
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    ...own,
    checkServerIdentity: () => undefined,
    ALPNProtocols: ['h2'],
  });
  try {
    await once(socket, 'secureConnect');
    return certificateFacts(socket.getPeerX509Certificate()?.toString() ?? '').serial;
  } finally {
    socket.destroy();
  }
}

async function peerConnection(from: string, to: Member) {
  const membership = await readMembership(from);
  const { authorityCertificate = '', certificate = '' } = membership ?? {};
  const keys = await keptMemberKeys(from);
  const own = { authorityCertificate, certificate, key: formatMemberKeys(keys) };
  const { id } = await keptMemberKeys(to.home);
  const address = `127.0.0.1:${to.daemon.port}`;
  const connection = openGrpc(address, memberChannelCredentials(own, id), memberChannelOptions);
  onTestFinished(() => connection.close());
  return connection.client(ContactServiceDefinition);
}

let network: Network;

test('two are active at the directory, with their addresses, stay over its restart, and reach each other', async () => {
  network = await Network.start(await ownBroker({ management: true }));
  const [a, b] = [await start(await join('ann')), await start(await join('bob'), '--advertise', 'b.example')];
  await until(
    () => Promise.all([a, b].map(({ daemon }) => daemon.owner.status({}))),
    all => all.every(({ directory }) => directory?.up === true),
  );
  const bus = createBus({ urls: [await memberUrl(b.home)], name: 'test', role: roles.member() });
  onTestFinished(() => bus.close(200));
  const active = async () => {
    const { members } = await directoryClient(bus).listMembers({ token: '', after: '', username: '' });
    return members.filter(each => each.activeForMs > 0).map(({ memberId, addresses }) => ({ memberId, addresses }));
  };
  const both = [
    { memberId: a.id, addresses: [`127.0.0.1:${a.daemon.port}`] },
    { memberId: b.id, addresses: [`b.example:${b.daemon.port}`] },
  ].sort((one, other) => (one.memberId < other.memberId ? -1 : 1));
  expect(await active()).toEqual(both);
  const member = await peerConnection(a.home, b);
  expect(await member.ping({})).toMatchObject({ memberId: b.id, callerId: a.id });

  await network.directory[Symbol.asyncDispose]();
  await network.startDirectory();
  // With their next ping.
  expect(await until(active, members => members.length === 2, 20_000)).toEqual(both);
}, 120_000);

test('one that is revoked is out within five seconds: of the broker, and of every other member', async () => {
  network = await Network.start(await ownBroker({ management: true }));
  const [a, b] = [await start(await join('ann')), await start(await join('bob'))];
  const member = await peerConnection(a.home, b);
  expect(await member.ping({})).toMatchObject({ callerId: a.id });
  const at = performance.now();
  expect((await network.here('members', 'revoke', a.id)).code).toBe(0);
  await until(
    () =>
      member.ping({}, { deadlineMs: 1_000 }).then(
        () => 'answered',
        ({ status }) => status,
      ),
    status => status === 'UNAVAILABLE',
  );
  await until(
    () => a.daemon.owner.status({}),
    ({ broker }) => broker?.up === false,
  );
  expect(performance.now() - at).toBeLessThan(5_000);
  // It stays for its owner, and says why it is out.
  expect(a.daemon.process.child.exitCode).toBeNull();
  expect((await b.daemon.owner.status({})).broker?.up).toBe(true);
}, 120_000);

test('a certificate that is about to end is renewed, and the next handshake shows the new one', async () => {
  network = await Network.start(await ownBroker({ management: true }));
  const home = await join('ann');
  const authority = await readAuthority(directoryDir(network.dir));
  const [membership, keys] = [await readMembership(home), await keptMemberKeys(home)];
  if (authority === undefined || membership === undefined) throw new Error('not joined');
  const soon = { publicKey: keys.publicKey, account: 'ann', now: Date.now(), days: 10 };
  const old = await issueCertificate(authority, soon);
  await keepMembership(home, { ...membership, certificate: old });
  const { daemon } = await start(home);
  const shown = await until(
    () => serialShown(daemon.port, { ca: membership.authorityCertificate, cert: old, key: formatMemberKeys(keys) }),
    serial => serial !== certificateFacts(old).serial,
  );
  const kept = certificateFacts((await readMembership(home))?.certificate ?? '');
  expect(kept).toMatchObject({ serial: shown, id: keys.id, account: 'ann' });
  expect(kept.notAfter - Date.now()).toBeGreaterThan(80 * 86_400_000);
  expect(Number((await daemon.owner.status({})).certificateLeftMs)).toBeGreaterThan(80 * 86_400_000);
}, 120_000);

test('a machine joins again when its daemon is stopped, and not before: both would write what is kept', async () => {
  network = await Network.start(await ownBroker({ management: true }));
  const { home, daemon } = await start(await join('ann'));
  const before = await memberUrl(home);
  const line = await network.invite('--service', 'web', '--user', 'ann');
  const refused = await warren(['join', line, '--again', '--data', home]);
  expect(refused.code).toBe(1);
  expect(await memberUrl(home)).toBe(before);
  await daemon.owner.stop({});
  expect(await daemon.process.exit).toBe(0);
  expect((await warren(['join', line, '--again', '--data', home])).code).toBe(0);
  expect(await memberUrl(home)).not.toBe(before);
}, 120_000);

test("with the origin's two .env files the member is where they say, and asks the directory over REST", async () => {
  network = await Network.start(await ownBroker({ management: true }));
  const password = 'correct horse';
  const home = await join('ann', { WARREN_USER_PASSWORD: password });
  const port = await freePort();
  const directory = new URL(network.url);
  const [client, server] = [path.join(home, 'client.env'), path.join(home, 'server.env')];
  await writeFile(client, `PSERVER_URL="peer.example"\nPSERVER_PORT=${port}\nPSERVER_LOCAL_URL=127.0.0.1\n`);
  await writeFile(
    server,
    `# the directory\nexport SERVER_URL=${directory.hostname}\nSERVER_PORT='${directory.port}'\n`,
  );
  const files = ['--env-file', client, '--env-file', server];
  await using without = await spawnWarren(['member', '--data', home, ...files]);
  expect(await without.exit).toBe(2);
  expect(without.lines).toEqual([
    expect.stringMatching(/^warren: the directory at http:\S+ wants the password of ann/),
  ]);

  const process = await spawnWarren(['member', '--data', home, ...files], { WARREN_MEMBER_PASSWORD: password });
  onTestFinished(() => process[Symbol.asyncDispose]());
  await process.line(new RegExp(`serves members on port ${port}$`));
  await process.line(/^its owner is served/);
  const connection = await connectToDaemon(home);
  onTestFinished(() => connection.close());
  const owner = connection.client(MemberServiceDefinition);
  const status = await until(
    () => owner.status({}),
    ({ directory }) => directory?.up === true,
  );
  expect(status.advertised).toEqual([`peer.example:${port}`]);
  const rest = withSession(restDirectoryClient(network.url), { username: 'ann', password, addresses: [] });
  const { peers } = await rest.listPeers({ token: '', after: '' });
  expect(peers).toContainEqual({
    peerId: status.memberId,
    username: 'ann',
    addresses: [`peer.example:${port}`],
  });
  // The broker away, the directory is still heard of.
  await network.broker.stop();
  await until(
    () => owner.status({}),
    ({ broker, directory }) => broker?.up === false && directory?.up === true,
  );
}, 120_000);
