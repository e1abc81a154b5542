import { appendFile, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Revocation, RevokedMember } from '../../proto/gen/warren/directory/v1/membership.ts';
import type { Bus } from '../../services/bus/bus.ts';
import { revokedContext } from '../../services/directory/revoke.ts';
import { createAuthority } from '../../services/lib/identity/authority.ts';
import { createMemberKeys, parseMemberKeys, signAs } from '../../services/lib/identity/keys.ts';
import { memberDir } from '../../services/member/home.ts';
import { keepRevocation, readOwnRevocation, readRevocations } from '../../services/member/kept-revocations.ts';
import { Revocations } from '../../services/member/revocations.ts';
import { temporaryDir } from '../support/broker.ts';

const authority = await createAuthority(Date.now());
const stranger = await createAuthority(Date.now());
const [ann, bob, eve] = [createMemberKeys(), createMemberKeys(), createMemberKeys()];

function proofOf({ id }: { id: string }, number: number, { key } = authority): Revocation {
  const revoked = Buffer.from(
    RevokedMember.encode({ memberId: id, serials: [`${number}`], revokedAtMs: number }).finish(),
  );
  return Revocation.create({
    number,
    revoked,
    signature: Buffer.from(signAs(parseMemberKeys(key), revokedContext, revoked)),
  });
}

test('who was revoked is known at the next start, before there is a broker', async () => {
  const home = await temporaryDir();
  await mkdir(memberDir(home));
  expect(await readRevocations(home)).toEqual([]);
  await keepRevocation(home, proofOf(ann, 1));
  // As a crash leaves it, and as somebody else would like it.
  await appendFile(join(memberDir(home), 'revoked'), 'CAES');
  await keepRevocation(home, proofOf(eve, 2, stranger));
  await keepRevocation(home, proofOf(bob, 3));
  expect((await stat(join(memberDir(home), 'revoked'))).mode & 0o777).toBe(0o600);

  const authorityCertificate = authority.certificate;
  const known = await readRevocations(home);
  const revocations = new Revocations({ bus: {} as Bus, authorityCertificate, known, warn: () => {} });
  expect([ann, bob, eve].map(({ id }) => revocations.isRevokedMember(id))).toEqual([true, true, false]);
  expect(['1', '2', '3'].map(serial => revocations.isRevoked(serial))).toEqual([true, false, true]);
  expect(await readOwnRevocation(home, { id: bob.id, authorityCertificate })).toBe(3);
  expect(await readOwnRevocation(home, { id: eve.id, authorityCertificate })).toBeUndefined();
});
