import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { Enrolment, EnrolRequest } from '../../proto/gen/warren/directory/v1/enrolment.ts';
import { RevokedMember } from '../../proto/gen/warren/directory/v1/membership.ts';
import { rights } from '../../services/bus/rights.ts';
import { Attempts } from '../../services/directory/attempts.ts';
import { keptAuthority } from '../../services/directory/authority-file.ts';
import { createEnrolment } from '../../services/directory/enrolment.ts';
import { enrolmentSeals, openEnrolled, sealEnrolment, signEnrolment } from '../../services/directory/enrolment-seal.ts';
import { inviteSecrets, parseInviteLine } from '../../services/directory/invite-line.ts';
import { createInvite } from '../../services/directory/invites.ts';
import { hashPassword } from '../../services/directory/password.ts';
import { revokeMember } from '../../services/directory/revoke.ts';
import { DirectoryStore } from '../../services/directory/store.ts';
import { certificateFacts, isIssuedBy } from '../../services/lib/identity/certificate.ts';
import { createMemberKeys, type MemberKeys } from '../../services/lib/identity/keys.ts';
import { createSealingKeys } from '../../services/lib/identity/sealing.ts';
import { temporaryDir } from '../support/broker.ts';
import { World } from './directory-under-test.ts';

const password = 'correct horse';
const day = 86_400_000;
let world: World;
let store: DirectoryStore;
let synced = 0;

beforeEach(async () => {
  world = new World();
  store = new DirectoryStore(await temporaryDir());
  synced = 0;
  onTestFinished(() => store.close());
});

function service(syncAccounts = async () => void synced++) {
  const salts = { newPassword: () => 'ab'.repeat(32), newSalt: () => Buffer.alloc(4, 7) };
  const attempts = new Attempts(() => world.clock);
  const needs = { store, authority: world.authority, attempts, now: () => world.now, ...salts, syncAccounts };
  return createEnrolment(needs, { brokerUrls: ['amqp://b'], queueType: 'classic', certificateDays: 90 });
}

function invite(request: { services?: string[]; username?: string } = {}) {
  const made = createInvite(
    { store, authority: world.authority, now: () => world.now },
    { days: 1, services: [], ...request },
    { brokerUrls: ['amqp://b'], directoryAccount: 'directory' },
  );
  return parseInviteLine(made.line);
}

type Line = ReturnType<typeof invite>;

/** What `warren join` sends, and how it opens the answer. */
function asked(line: Line, keys: MemberKeys, fields: Partial<Enrolment> = {}) {
  const ephemeral = createSealingKeys();
  const seals = enrolmentSeals(ephemeral.privateKey, line.sealingKey, line.inviteId, ephemeral.publicKey);
  const enrolment = Enrolment.create({
    publicKey: Buffer.from(keys.publicKey),
    proof: inviteSecrets(line.secret).proof,
    username: 'ann',
    signature: signEnrolment(keys, ephemeral.publicKey),
    ...fields,
  });
  const request = EnrolRequest.create({
    inviteId: line.inviteId,
    ephemeralKey: Buffer.from(ephemeral.publicKey),
    sealed: sealEnrolment(seals, enrolment),
  });
  return { request, open: (sealed: Uint8Array) => openEnrolled(seals, sealed) };
}

function caller(line: Line) {
  return { address: `bus:invite.${line.inviteId}`, signal: AbortSignal.timeout(20_000) };
}

async function enrol(line: Line, keys: MemberKeys, fields: Partial<Enrolment> = {}, to = service()) {
  const { request, open } = asked(line, keys, fields);
  return open((await to.enrol(request, caller(line))).sealed);
}

describe('who has an invite', () => {
  test('gets a certificate of its key and account, and what the invite grants', async () => {
    const keys = createMemberKeys();
    const answer = await enrol(invite({ services: ['web'] }), keys);
    expect(answer).toMatchObject({ services: ['web'], username: 'ann', brokerUrls: ['amqp://b'] });
    expect(isIssuedBy(world.authority.certificate, answer.certificate, world.now)).toBe(true);
    expect(certificateFacts(answer.certificate)).toMatchObject({ id: keys.id, account: 'ann' });
    expect(store.members.find(keys.id)).toMatchObject({ username: 'ann', services: ['web'] });
    // Not the password: whoever has the store cannot be the member.
    expect(store.members.find(keys.id)?.brokerHash).not.toContain(answer.brokerPassword);
    expect(synced).toBe(1);
  });

  test('is told when it has expired, by the clock of the directory', async () => {
    const line = invite();
    world.pass(day - 1);
    const keys = createMemberKeys();
    await enrol(line, keys);
    world.pass(1);
    await expect(enrol(line, keys)).rejects.toMatchObject({ code: 'ENROL_EXPIRED', status: 'FAILED_PRECONDITION' });
  });

  test('may ask again with the same key, until it was heard of with its own account; nobody else may', async () => {
    const line = invite();
    const keys = createMemberKeys();
    await expect(
      enrol(
        line,
        keys,
        {},
        service(() => Promise.reject(new Error('no broker'))),
      ),
    ).rejects.toMatchObject({ code: 'ENROL_ACCOUNTS', status: 'UNAVAILABLE' });
    await enrol(line, keys);
    await expect(enrol(line, createMemberKeys())).rejects.toMatchObject({ code: 'ENROL_USED' });
    expect(store.invites.finish(keys.id)).toBe(true);
    await expect(enrol(line, keys)).rejects.toMatchObject({ code: 'ENROL_INVITE' });
  });

  test('and races with another: one of them wins', async () => {
    const line = invite();
    const outcomes = await Promise.allSettled(
      ['ann', 'bob'].map(username => enrol(line, createMemberKeys(), { username, password })),
    );
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(store.members.list()).toHaveLength(1);
  });

  test('cannot have one key be of two accounts, by two invites at once', async () => {
    const keys = createMemberKeys();
    const outcomes = await Promise.allSettled(
      ['ann', 'bob'].map(username => enrol(invite(), keys, { username, password })),
    );
    const certified = outcomes.flatMap(each =>
      each.status === 'fulfilled' ? [certificateFacts(each.value.certificate)] : [],
    );
    expect(certified.map(({ account }) => account)).toEqual([store.members.find(keys.id)?.username]);
  });

  test('cannot make the word of its revocation too long for others to hear', async () => {
    const keys = createMemberKeys();
    const line = invite();
    let serial = '';
    for (let times = 0; times < 40; times++) ({ serial } = certificateFacts((await enrol(line, keys)).certificate));
    revokeMember(store, world.authority, keys.id, world.now);
    const [said] = store.members.revocations(0, 1);
    // A hundred of them go in one answer.
    expect(said?.revoked.length).toBeLessThan(1_000);
    const { serials } = RevokedMember.decode(said?.revoked ?? Buffer.alloc(0));
    expect(serials.at(-1)).toBe(serial);
  });

  test('is not let in with a key that was revoked', async () => {
    const keys = createMemberKeys();
    await enrol(invite(), keys);
    revokeMember(store, world.authority, keys.id, world.now);
    await expect(enrol(invite(), keys)).rejects.toMatchObject({ code: 'ENROL_REVOKED' });
    expect(store.members.revocations(0, 10)).toHaveLength(1);
  });
});

describe('who has not all of it gets nothing', () => {
  test('who saw a request cannot use it for a key of its own, nor read the answer to it', async () => {
    const line = invite();
    const { request } = asked(line, createMemberKeys());
    const thief = createSealingKeys();
    const other = { ...request, ephemeralKey: Buffer.from(thief.publicKey) };
    await expect(service().enrol(other, caller(line))).rejects.toMatchObject({ code: 'ENROL_INVITE' });
    const { sealed } = await service().enrol(request, caller(line));
    const seals = enrolmentSeals(thief.privateKey, line.sealingKey, line.inviteId, request.ephemeralKey);
    expect(() => openEnrolled(seals, sealed)).toThrow(expect.objectContaining({ code: 'IDENTITY_SEAL' }));
  });

  test.each<[string, (line: Line, keys: MemberKeys) => Partial<Enrolment>, string]>([
    ['another secret', () => ({ proof: Buffer.alloc(32) }), 'ENROL_INVITE'],
    ['no secret', () => ({ proof: Buffer.alloc(0) }), 'ENROL_INVITE'],
    ["another's key", () => ({ publicKey: Buffer.from(createMemberKeys().publicKey) }), 'ENROL_KEY'],
    [
      'a signature of another attempt',
      (_, keys) => ({ signature: signEnrolment(keys, Buffer.alloc(32)) }),
      'ENROL_KEY',
    ],
    ['no name', () => ({ username: '' }), 'ENROL_REQUEST'],
    ['a name that cannot be', () => ({ username: 'No Name' }), 'ENROL_REQUEST'],
    ['too short a password', () => ({ password: 'short' }), 'ENROL_REQUEST'],
  ])('%s', async (_, wrong, code) => {
    const line = invite();
    const keys = createMemberKeys();
    await expect(enrol(line, keys, wrong(line, keys))).rejects.toMatchObject({ code });
    expect(store.members.list()).toEqual([]);
    expect(store.findAccount('ann')).toBeUndefined();
  });

  test('an unknown invite, another account of the broker, and bytes that are none', async () => {
    const line = invite();
    const keys = createMemberKeys();
    const { request } = asked(line, keys);
    const refused = { code: 'ENROL_INVITE' };
    await expect(enrol({ ...line, inviteId: 'other' }, keys)).rejects.toMatchObject(refused);
    const from = (address: string) => ({ ...caller(line), address });
    await expect(service().enrol(request, from('bus:invite.other'))).rejects.toMatchObject(refused);
    for (const length of [0, 5, 40, 5_000])
      await expect(service().enrol({ ...request, sealed: Buffer.alloc(length) }, caller(line))).rejects.toMatchObject(
        refused,
      );
    for (const ephemeralKey of [Buffer.alloc(0), Buffer.alloc(32)])
      await expect(service().enrol({ ...request, ephemeralKey }, caller(line))).rejects.toMatchObject(refused);
  });
});

describe('an account that is there already', () => {
  beforeEach(async () => void store.addAccount('ann', await hashPassword(password), 0));

  test('needs its password; guesses are limited', async () => {
    const line = invite();
    const keys = createMemberKeys();
    await expect(enrol(line, keys)).rejects.toMatchObject({ code: 'ENROL_PASSWORD', status: 'PERMISSION_DENIED' });
    const to = service();
    for (let guess = 0; guess < 10; guess++)
      await expect(enrol(line, keys, { password: 'wrong guess' }, to)).rejects.toMatchObject({
        code: 'ENROL_PASSWORD',
      });
    await expect(enrol(line, keys, { password }, to)).rejects.toMatchObject({ code: 'DIRECTORY_ATTEMPTS' });
    await enrol(line, keys, { password });
  });

  test('needs none with an invite that is for it, which is for nobody else', async () => {
    const line = invite({ username: 'ann' });
    await expect(enrol(line, createMemberKeys(), { username: 'bob' })).rejects.toMatchObject({ code: 'ENROL_USER' });
    expect(await enrol(line, createMemberKeys(), { username: '' })).toMatchObject({ username: 'ann' });
  });

  test('that is disabled lets nobody in', async () => {
    store.disable('ann');
    await expect(enrol(invite(), createMemberKeys(), { password })).rejects.toMatchObject({ code: 'ENROL_PASSWORD' });
    const named = enrol(invite({ username: 'ann' }), createMemberKeys());
    await expect(named).rejects.toMatchObject({ code: 'ENROL_PASSWORD' });
  });
});

test('an invite grants no more services than rights on the broker can be written for', () => {
  const services = (count: number) =>
    Array.from({ length: count }, (_, at) => `a${'.'.repeat(59)}${String(at).padStart(3, '0')}`);
  expect(() => invite({ services: services(25) })).toThrow(expect.objectContaining({ code: 'CONFIG' }));
  invite({ services: services(24) });
  // As many chats as the setting takes, of letters that are two in a pattern.
  const hosts = Array.from({ length: 8 }, (_, at) => `${at}${'.a'.repeat(15)}a`);
  const { configure, write, read, topics } = rights.member('a'.repeat(64), { services: services(24), hosts });
  // The embedded broker's limit.
  for (const pattern of [configure, write, read, ...topics.flatMap(topic => [topic.write, topic.read])])
    expect(pattern.length).toBeLessThanOrEqual(4_096);
});

describe('the authority', () => {
  test('is made once, for this user alone', async () => {
    const dir = await temporaryDir();
    const made = await keptAuthority(dir, world.now);
    expect(await keptAuthority(dir, world.now)).toEqual(made);
    for (const file of ['authority.pem', 'authority-key.pem'])
      expect((await stat(join(dir, file))).mode & 0o777).toBe(0o600);
  });

  test('is never overwritten: half a pair, another key, or damage is one line', async () => {
    const dir = await temporaryDir();
    const other = await temporaryDir();
    await keptAuthority(dir, world.now);
    await keptAuthority(other, world.now);
    const key = await readFile(join(dir, 'authority-key.pem'), 'utf8');
    const refused = { code: 'AUTHORITY', message: expect.stringMatching(/^the network's authority in [^\n]+$/) };
    await writeFile(join(dir, 'authority-key.pem'), await readFile(join(other, 'authority-key.pem'), 'utf8'));
    await expect(keptAuthority(dir, world.now)).rejects.toMatchObject(refused);
    await writeFile(join(dir, 'authority-key.pem'), 'nonsense');
    await expect(keptAuthority(dir, world.now)).rejects.toMatchObject(refused);
    await rm(join(dir, 'authority-key.pem'));
    await expect(keptAuthority(dir, world.now)).rejects.toMatchObject(refused);
    await writeFile(join(dir, 'authority-key.pem'), key);
    await keptAuthority(dir, world.now);
    await rm(join(dir, 'authority.pem'));
    await expect(keptAuthority(dir, world.now)).rejects.toMatchObject(refused);
  });
});
