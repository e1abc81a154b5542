import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { memberAccount } from '../../services/bus/accounts/specs.ts';
import { createBus } from '../../services/bus/amqp-bus.ts';
import type { Bus } from '../../services/bus/bus.ts';
import { roles } from '../../services/bus/topology.ts';
import { directoryClient, membershipClient } from '../../services/directory/client.ts';
import { certificateFacts } from '../../services/lib/identity/certificate.ts';
import { signAs } from '../../services/lib/identity/keys.ts';
import { type MemberId, shortId } from '../../services/lib/identity/member-id.ts';
import { keptMemberKeys, type Membership } from '../../services/member/home.ts';
import { join } from '../../services/member/join.ts';
import { Revocations } from '../../services/member/revocations.ts';
import { ownBroker, temporaryDir } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { Network, warren } from './network-of-processes.ts';

// Real processes, several in each test.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

let network: Network;

beforeEach(async () => {
  network = await Network.start(await ownBroker({ management: true }));
});

interface Machine {
  readonly id: MemberId;
  readonly home: string;
  readonly membership: Membership;
  readonly bus: Bus;
  readonly revocations: Revocations;
}

async function machine(username: string): Promise<Machine> {
  const home = await temporaryDir();
  const { id, membership } = await join({ line: await network.invite(), dataDir: home, username });
  const bus = createBus({ urls: membership.brokerUrls, name: 'test', role: roles.member() });
  const { authorityCertificate, directoryAccount } = membership;
  const revocations = new Revocations({ bus, authorityCertificate, directoryAccount, warn: () => {} });
  revocations.start();
  onTestFinished(async () => {
    revocations.close();
    await bus.close(0);
  });
  await bus.ready();
  await directoryClient(bus).ping({ token: '', addresses: [] });
  return { id, home, membership, bus, revocations };
}

test('members are known, act without a token, and are listed', async () => {
  const [ann, bob] = [await machine('ann'), await machine('bob')];
  const client = directoryClient(ann.bus, { from: 'test' });
  await client.ping({ token: '', addresses: ['10.0.0.1:50051'] });
  const { peers } = await client.listPeers({ token: '', after: '' });
  expect(peers).toEqual(
    [
      { peerId: ann.id, username: 'ann', addresses: ['10.0.0.1:50051'] },
      { peerId: bob.id, username: 'bob', addresses: [] },
    ].sort((one, other) => (one.peerId < other.peerId ? -1 : 1)),
  );
  const { member } = await client.getMember({ token: '', memberId: bob.id });
  const keys = await keptMemberKeys(bob.home);
  expect(member).toMatchObject({
    memberId: bob.id,
    publicKey: Buffer.from(keys.publicKey).toString('base64url'),
    username: 'bob',
    activeForMs: expect.any(Number),
    certificateEndsAtMs: certificateFacts(bob.membership.certificate).notAfter,
  });
  const { certificate } = await membershipClient(ann.bus).renewCertificate({});
  expect(certificateFacts(certificate)).toMatchObject({ id: ann.id, account: 'ann' });
  const listed = await network.here('members', 'list');
  expect(listed.out).toMatch(new RegExp(`^${shortId(bob.id)} +bob .+ active$`, 'm'));
  const list: unknown[] = JSON.parse((await network.here('members', 'list', '--json')).out);
  expect(list).toHaveLength(2);
  const status = JSON.parse((await network.here('status', '--json')).out);
  expect(status.members).toEqual(list.map(each => expect.objectContaining(each)));
  expect(status.directory).toMatchObject({ at: network.url, accounts: 2, sessions: 0, latencyMs: expect.any(Number) });
  // Without a daemon they are there for the directory, and answer nobody.
  expect(status.members[0]).toMatchObject({ isActive: true, problem: expect.stringMatching(/nobody listens/) });
});

test('a member publishes the key that others seal for it with, signed by its own', async () => {
  const [ann, bob] = [await machine('ann'), await machine('bob')];
  const keys = await keptMemberKeys(ann.home);
  const sealingKey = Buffer.alloc(32, 7);
  const signature = signAs(keys, 'warren.directory.v1.SealingKey', sealingKey);
  const client = membershipClient(ann.bus);
  await client.publishSealingKey({ sealingKey, signature: Buffer.from(signature) });
  const { member } = await directoryClient(bob.bus).getMember({ token: '', memberId: ann.id });
  expect(member).toMatchObject({
    sealingKey: sealingKey.toString('base64url'),
    sealingKeySignature: Buffer.from(signature).toString('base64url'),
  });
  const bobs = signAs(await keptMemberKeys(bob.home), 'warren.directory.v1.SealingKey', sealingKey);
  const refused = { status: 'INVALID_ARGUMENT', code: 'DIRECTORY_SEALING_KEY' };
  await expect(client.publishSealingKey({ sealingKey, signature: Buffer.from(bobs) })).rejects.toMatchObject(refused);
  const short = sealingKey.subarray(1);
  const ofShort = Buffer.from(signAs(keys, 'warren.directory.v1.SealingKey', short));
  await expect(client.publishSealingKey({ sealingKey: short, signature: ofShort })).rejects.toMatchObject(refused);
});

test('a revoked one is out within 5 s, wherever it is; the others know, and its key is not let in again', async () => {
  const [ann, bob] = [await machine('ann'), await machine('bob')];
  const away = await machine('carl');
  await away.bus.close(0);
  const lost = new Promise<void>(resolve => {
    bob.bus.onState(state => state === 'connecting' && resolve());
  });
  const heard = new Promise<MemberId>(resolve => {
    ann.revocations.onRevoked(resolve);
  });
  const said = await network.here('members', 'revoke', shortId(bob.id));
  expect(said).toEqual({ code: 0, out: `revoked ${shortId(bob.id)}, of bob\n`, err: '' });
  // From when the command has said so; its own start takes as long as the machine is busy.
  const before = performance.now();
  await Promise.all([lost, heard]);
  await until(
    () => bob.bus.reason,
    reason => /wrong name or password/.test(reason),
  );
  const took = performance.now() - before;
  console.log(`revoked: connection closed, login refused and others told after ${Math.round(took)} ms`);
  expect(took).toBeLessThan(5_000);
  expect(await heard).toBe(bob.id);
  expect(ann.revocations.isRevokedMember(bob.id)).toBe(true);
  expect(ann.revocations.isRevoked(certificateFacts(bob.membership.certificate).serial)).toBe(true);
  expect(ann.revocations.isRevokedMember(ann.id)).toBe(false);
  expect(await network.names()).not.toContain(`m.${bob.id}`);
  await expect(directoryClient(ann.bus).getMember({ token: '', memberId: bob.id })).rejects.toMatchObject({
    code: 'DIRECTORY_NO_MEMBER',
  });

  const again = await warren(['join', await network.invite(), '--again', '--data', bob.home, '--user', 'bob']);
  expect(again).toMatchObject({
    code: 1,
    err: 'warren: this machine was revoked, and its key is not let in again\n',
  });

  const back = createBus({ urls: away.membership.brokerUrls, name: 'test', role: roles.member() });
  const { authorityCertificate } = away.membership;
  const revocations = new Revocations({ bus: back, authorityCertificate, warn: () => {} });
  onTestFinished(async () => {
    revocations.close();
    await back.close(0);
  });
  revocations.start();
  await until(
    () => revocations.isRevokedMember(bob.id),
    known => known,
  );
});

test('what somebody did to the accounts by hand, and what was missed, is put right', async () => {
  const { id, bus } = await machine('ann');
  const [account] = await network.accounts.list(`m.${id}`);
  const stray = memberAccount('0'.repeat(64) as MemberId, account?.passwordHash ?? '', ['web']);
  await network.accounts.put(stray);
  await network.accounts.remove(`m.${id}`);
  // Anything that changes the store makes the directory look; otherwise the next minute does.
  await network.here('users', 'disable', 'nobody');
  await network.invite();
  await until(
    () => network.names(),
    names => names.includes(`m.${id}`) && !names.includes(stray.name),
  );
  await bus.ready();

  // The directory was away while one was revoked, and the broker while another was.
  const other = await machine('bob');
  network.directory.kill('SIGKILL');
  await network.directory.exit;
  await network.accounts.put(stray);
  await network.startDirectory();
  await until(
    () => network.names(),
    names => !names.includes(stray.name),
  );
  await network.broker.stop();
  const said = await network.here('members', 'revoke', other.id, '--json');
  expect(JSON.parse(said.out)).toEqual({ id: other.id, user: 'bob', brokerAccountRemoved: false });
  expect(said.err).toMatch(/^warning: its account is not off the broker yet[^\n]+\n$/);
  await network.broker.start();
  await until(
    () => network.names().catch(() => [`m.${other.id}`]),
    names => !names.includes(`m.${other.id}`),
    25_000,
  );
});
