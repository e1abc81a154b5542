import { createPublicKey, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createAuthority, issueCertificate } from '../../../services/lib/identity/authority.ts';
import { certificateFacts, fingerprintOf, isIssuedBy } from '../../../services/lib/identity/certificate.ts';
import {
  createMemberKeys,
  formatMemberKeys,
  isSignedBy,
  memberIdOf,
  parseMemberKeys,
  publicKeyOf,
  rawKeyOf,
  signAs,
} from '../../../services/lib/identity/keys.ts';
import {
  brokerAccountOf,
  isMemberId,
  memberOfBrokerAccount,
  shortId,
} from '../../../services/lib/identity/member-id.ts';

const now = Date.UTC(2026, 10, 25);
const day = 86_400_000;

describe("a member's keys", () => {
  test('come back from their text, with the same id', () => {
    const keys = createMemberKeys();
    const again = parseMemberKeys(formatMemberKeys(keys));
    expect(again.id).toBe(keys.id);
    expect(isMemberId(keys.id)).toBe(true);
    expect(memberIdOf(keys.publicKey)).toBe(keys.id);
    expect(rawKeyOf(publicKeyOf(keys.publicKey))).toEqual(rawKeyOf(createPublicKey(keys.privateKey)));
  });

  test('sign bytes for one purpose, which count for no other, nor from another', () => {
    const keys = createMemberKeys();
    const bytes = randomBytes(100);
    const signature = signAs(keys, 'a.v1.M', bytes);
    expect(isSignedBy(keys.publicKey, 'a.v1.M', bytes, signature)).toBe(true);
    expect(isSignedBy(keys.publicKey, 'a.v1.N', bytes, signature)).toBe(false);
    expect(isSignedBy(createMemberKeys().publicKey, 'a.v1.M', bytes, signature)).toBe(false);
    expect(isSignedBy(keys.publicKey, 'a.v1.M', bytes.subarray(1), signature)).toBe(false);
    expect(isSignedBy(keys.publicKey.subarray(1), 'a.v1.M', bytes, signature)).toBe(false);
    expect(isSignedBy(keys.publicKey, 'a.v1.M', bytes, signature.subarray(1))).toBe(false);
    // Not the same bytes cut elsewhere.
    const joined = signAs(keys, 'a', Buffer.from('b\0c'));
    expect(isSignedBy(keys.publicKey, 'a\0b', Buffer.from('c'), joined)).toBe(true);
    expect(isSignedBy(keys.publicKey, 'ab', Buffer.from('\0c'), joined)).toBe(false);
  });

  test.each(['', 'nonsense', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'])(
    'are refused as %j, without showing it',
    pem => {
      expect(() => parseMemberKeys(pem)).toThrow(expect.objectContaining({ code: 'IDENTITY_KEY' }));
    },
  );
});

describe("a member's broker account", () => {
  test('names the member and nobody else', () => {
    const { id } = createMemberKeys();
    expect(memberOfBrokerAccount(brokerAccountOf(id))).toBe(id);
    for (const other of ['directory', 'm.', id, `m.${id}.x`, `m.${id.toUpperCase()}`, `x.m.${id}`])
      expect(memberOfBrokerAccount(other)).toBeUndefined();
    expect(shortId(id)).toHaveLength(12);
  });
});

describe('an authority', () => {
  test("signs a key into a certificate that says whose it is, and is its and nobody else's", async () => {
    const authority = await createAuthority(now);
    const { publicKey, id } = createMemberKeys();
    const certificate = await issueCertificate(authority, { publicKey, account: 'ann', now, days: 90 });
    const facts = certificateFacts(certificate);
    expect(facts).toMatchObject({ id, account: 'ann', notAfter: now + 90 * day });
    expect(facts.serial).toMatch(/^[0-9a-f]{32}$/);
    expect(isIssuedBy(authority.certificate, certificate, now)).toBe(true);
    expect(isIssuedBy(authority.certificate, certificate, now + 91 * day)).toBe(false);
    expect(isIssuedBy(authority.certificate, certificate, now - day)).toBe(false);
    const other = await createAuthority(now);
    expect(isIssuedBy(other.certificate, certificate, now)).toBe(false);
    // A member is no authority.
    expect(isIssuedBy(certificate, certificate, now)).toBe(false);
    expect(fingerprintOf(authority.certificate)).toMatch(/^[0-9a-f]{64}$/);
    expect(fingerprintOf(authority.certificate)).not.toBe(fingerprintOf(other.certificate));
  });

  test("has no facts of a member, and neither has a certificate whose name is not its key's", async () => {
    const authority = await createAuthority(now);
    for (const text of [authority.certificate, 'nonsense', ''])
      expect(() => certificateFacts(text)).toThrow(expect.objectContaining({ code: 'IDENTITY_CERTIFICATE' }));
  });
});
