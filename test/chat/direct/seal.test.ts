import { beforeAll, describe, expect, test } from 'vitest';
import type { Direct, DirectContent } from '../../../proto/gen/warren/chat/v1/direct.ts';
import { openDirect, sealDirect } from '../../../services/chat/direct/seal.ts';
import { type Authority, createAuthority, issueCertificate } from '../../../services/lib/identity/authority.ts';
import { createMemberKeys, type MemberKeys, signAs } from '../../../services/lib/identity/keys.ts';
import { createSealingKeys, type SealingKeys } from '../../../services/lib/identity/sealing.ts';

interface Member {
  readonly keys: MemberKeys;
  readonly certificate: string;
  readonly sealing: SealingKeys;
}

const now = Date.now();
let authority: Authority;
let ann: Member;
let bob: Member;
let eve: Member;

async function member(by: Authority, account: string): Promise<Member> {
  const keys = createMemberKeys();
  const certificate = await issueCertificate(by, { publicKey: keys.publicKey, account, now, days: 1 });
  return { keys, certificate, sealing: createSealingKeys() };
}

beforeAll(async () => {
  authority = await createAuthority(now);
  [ann, bob, eve] = [await member(authority, 'ann'), await member(authority, 'bob'), await member(authority, 'eve')];
});

function text(body: string, more: object = {}): DirectContent {
  const value = { id: '0'.repeat(32), to: 'bob', body, atMs: now, ...more };
  return { content: { $case: 'text', value }, replyKey: Buffer.alloc(32, 7) };
}

function sealed(content = text('hello'), from = ann, to = bob): Direct {
  return sealDirect(from, { id: to.keys.id, sealingKey: to.sealing.publicKey }, content);
}

function open(direct: Direct, { from = ann, to = bob, at = now, ca = authority.certificate } = {}) {
  return openDirect(direct, {
    ...{ from: from.keys.id, to: to.keys.id, authorityCertificate: ca, now: at },
    privateKeyOf: key => (Buffer.from(key).equals(to.sealing.publicKey) ? to.sealing.privateKey : undefined),
  });
}

const refused = expect.objectContaining({ code: 'DIRECT_REFUSED' });

test('only the receiver opens it, and knows whose it is', () => {
  const direct = sealed();
  expect(open(direct)).toEqual({ account: 'ann', content: text('hello') });
  expect(() => open(direct, { to: eve })).toThrow(refused);
  // Nor does it open with the receiver's id and another's key.
  const stolen = { ...bob, sealing: eve.sealing };
  expect(() => open(direct, { to: stolen })).toThrow(refused);
  expect(Buffer.concat([direct.sealed, direct.certificate]).includes('hello')).toBe(false);
});

test('each is sealed with a key of its own', () => {
  const [one, other] = [sealed(), sealed()];
  expect(one.ephemeralKey.equals(other.ephemeralKey)).toBe(false);
  expect(one.sealed.equals(other.sealed)).toBe(false);
});

describe('refused is', () => {
  const flip = (bytes: Buffer, at: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] ?? 0) ^ 1;
    return copy;
  };

  test('what was changed anywhere, by one bit', () => {
    const direct = sealed();
    for (const field of ['certificate', 'ephemeralKey', 'sealingKey', 'sealed', 'signature'] as const)
      for (let at = 0; at < direct[field].length; at += 7)
        expect(() => open({ ...direct, [field]: flip(direct[field], at) }), `${field} ${at}`).toThrow(refused);
  });

  test('what somebody else sends on, or as another', () => {
    const direct = sealed();
    // As her own, with her certificate; as it is.
    expect(() => open(direct, { from: eve })).toThrow(/somebody else's certificate/);
    expect(() => open({ ...direct, certificate: sealed(text('x'), eve).certificate }, { from: eve })).toThrow(refused);
    // Signed anew by her: then the key that it is sealed with is not the same.
    const { ephemeralKey, sealingKey, sealed: inside } = direct;
    const transcript = Buffer.concat([
      Buffer.from(`${eve.keys.id}${bob.keys.id}`),
      ...[ephemeralKey, sealingKey, inside],
    ]);
    const signature = Buffer.from(signAs(eve.keys, 'warren.chat.v1.Direct', transcript));
    const anew = { ...direct, signature, certificate: sealed(text('x'), eve).certificate };
    expect(() => open(anew, { from: eve })).toThrow(/cannot be opened/);
  });

  test('what comes from no member of this network, or with a certificate that has ended', async () => {
    const other = await createAuthority(now);
    const stranger = await member(other, 'ann');
    expect(() => open(sealed(text('x'), stranger), { from: stranger })).toThrow(/no member of this network/);
    expect(() => open(sealed(), { at: now + 3 * 86_400_000 })).toThrow(refused);
  });

  test.each([
    ['an empty text', text('')],
    ['a text of 16 KiB and one octet', text(`${'ü'.repeat(8_192)}x`)],
    ['an id that is none', text('x', { id: '../../etc' })],
    ['a message to nobody', text('x', { to: '' })],
    ['a key for answers of another length', { ...text('x'), replyKey: Buffer.alloc(31) }],
    ['nothing', { content: undefined, replyKey: Buffer.alloc(32) }],
    [
      'a receipt for nothing',
      { content: { $case: 'receipt' as const, value: { ids: [], isRead: true } }, replyKey: Buffer.alloc(32) },
    ],
    [
      'a receipt for too much',
      {
        content: { $case: 'receipt' as const, value: { ids: Array(1_001).fill('0'.repeat(32)), isRead: true } },
        replyKey: Buffer.alloc(32),
      },
    ],
  ])('%s', (_, content) => {
    expect(() => open(sealed(content))).toThrow(refused);
  });
});
