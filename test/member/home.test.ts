import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { InviteLine } from '../../proto/gen/warren/directory/v1/enrolment.ts';
import { formatInviteLine } from '../../services/directory/invite-line.ts';
import { claimHome, keepMembership, keptMemberKeys, memberDir, readMembership } from '../../services/member/home.ts';
import { join as joinNetwork } from '../../services/member/join.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'warren-home-'));
});
afterEach(() => rm(home, { recursive: true }));

const membership = {
  authorityCertificate: 'a',
  certificate: 'c',
  brokerUrls: ['amqp://m.x:secret@broker'],
  queueType: 'classic' as const,
  services: ['web'],
};

test('keys are made once, for this user alone, and stay', async () => {
  const { id } = await keptMemberKeys(home);
  expect((await keptMemberKeys(home)).id).toBe(id);
  expect((await stat(join(memberDir(home), 'key.pem'))).mode & 0o777).toBe(0o600);
  expect((await stat(memberDir(home))).mode & 0o777).toBe(0o700);
});

test('a damaged key is not replaced: the member would be another one', async () => {
  await keptMemberKeys(home);
  const file = join(memberDir(home), 'key.pem');
  await writeFile(file, 'nonsense');
  await expect(keptMemberKeys(home)).rejects.toMatchObject({ code: 'MEMBER_HOME' });
  expect(await readFile(file, 'utf8')).toBe('nonsense');
});

test('a membership comes back as kept; before it there is none, and a damaged one is said', async () => {
  expect(await readMembership(home)).toBeUndefined();
  await keepMembership(home, membership);
  expect(await readMembership(home)).toEqual(membership);
  const file = join(memberDir(home), 'membership.json');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  for (const text of ['', '{', '{"services":1}']) {
    await writeFile(file, text);
    await expect(readMembership(home)).rejects.toMatchObject({ code: 'MEMBER_HOME' });
  }
});

test('a home that is held is not joined anew: its daemon would go on with what it has, and keep that over the new', async () => {
  const line = formatInviteLine(
    InviteLine.create({
      ...{ inviteId: 'i', secret: Buffer.alloc(32), sealingKey: Buffer.alloc(32, 9), expiresAtMs: Date.now() + 60_000 },
      brokerUrls: ['amqp://127.0.0.1:1'],
    }),
  );
  const daemon = await claimHome(home);
  const again = { line, dataDir: home, deadlineMs: 300 };
  await expect(joinNetwork(again)).rejects.toMatchObject({ code: 'MEMBER_HELD' });
  await daemon.release();
  // Of two at once each would make a key, and keep the other's certificate.
  const both = await Promise.allSettled([joinNetwork(again), joinNetwork(again)]);
  expect(both.map(each => each.status === 'rejected' && each.reason.code).sort()).toEqual([
    'JOIN_BROKER',
    'MEMBER_HELD',
  ]);
});
