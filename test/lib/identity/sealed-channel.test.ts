import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createMemberKeys } from '../../../services/lib/identity/keys.ts';
import { answer, introduce, type SealedChannel, sealBytes } from '../../../services/lib/identity/sealed-channel.ts';

const channel = 'a'.repeat(32);
const [ann, bob, eve] = [createMemberKeys(), createMemberKeys(), createMemberKeys()];
const broken = expect.objectContaining({ code: 'CHANNEL_BROKEN' });

function opened(): { a: SealedChannel; b: SealedChannel } {
  const hello = introduce(ann, channel, bob.id);
  const { introduction, sealed } = answer(bob, channel, ann.id, hello.introduction);
  return { a: hello.complete(introduction), b: sealed };
}

describe('a sealed channel', () => {
  test('carries both ways what was given, and shows none of it', () => {
    const { a, b } = opened();
    for (const text of ['', 'one', 'two'.repeat(50_000)]) {
      const parts = [Buffer.from('head '), Buffer.from(text)];
      const frame = a.seal(parts);
      expect(frame.length).toBe(5 + text.length + sealBytes);
      if (text !== '') expect(frame.includes(text)).toBe(false);
      expect(b.open(frame).equals(Buffer.concat(parts))).toBe(true);
      expect(a.open(b.seal(parts)).equals(Buffer.concat(parts))).toBe(true);
    }
  });

  test('has other keys each time, and for each direction', () => {
    const content = [Buffer.alloc(100)];
    const [one, two] = [opened(), opened()];
    const frames = [one.a.seal(content), one.b.seal(content), two.a.seal(content), one.a.seal(content)];
    expect(new Set(frames.map(frame => frame.toString('hex'))).size).toBe(4);
  });

  test.each<[string, (frames: Buffer[]) => Buffer[]]>([
    ['repeated', ([first = Buffer.alloc(0)]) => [first, first]],
    ['left out', ([, second = Buffer.alloc(0)]) => [second]],
    ['cut', ([first = Buffer.alloc(0)]) => [first.subarray(0, -1)]],
    ['empty', () => [Buffer.alloc(0)]],
    ['changed', ([first = Buffer.alloc(0)]) => [Buffer.from(first.map((byte, at) => (at === 3 ? byte ^ 1 : byte)))]],
  ])('breaks at a frame that is %s, and stays broken', (_name, change) => {
    const { a, b } = opened();
    const frames = [a.seal([Buffer.from('first')]), a.seal([Buffer.from('second')])];
    const third = a.seal([Buffer.from('third')]);
    const deliver = (): void => {
      for (const frame of change(frames)) b.open(frame);
    };
    expect(deliver).toThrow(broken);
    expect(() => b.open(third)).toThrow(broken);
  });

  test("does not open a side's own frames: nobody can send them back", () => {
    const { a } = opened();
    expect(() => a.open(a.seal([Buffer.from('x')]))).toThrow(broken);
  });
});

describe('opening a channel', () => {
  test('is refused to whoever is not whom the broker named', () => {
    const { introduction } = introduce(ann, channel, bob.id);
    expect(() => answer(bob, channel, eve.id, introduction)).toThrow(broken);
  });

  test('with one member is of no use with another', () => {
    const { introduction } = introduce(ann, channel, bob.id);
    expect(() => answer(eve, channel, ann.id, introduction)).toThrow(broken);
    expect(() => answer(bob, 'b'.repeat(32), ann.id, introduction)).toThrow(broken);
  });

  test('does not take an answer of somebody between: neither its own nor with a key put in', () => {
    const hello = introduce(ann, channel, bob.id);
    const ofEve = introduce(eve, channel, bob.id).introduction;
    const { introduction } = answer(bob, channel, ann.id, hello.introduction);
    expect(() => hello.complete({ ...introduction, newKey: ofEve.newKey })).toThrow(broken);
    expect(() => hello.complete({ ...introduction, publicKey: eve.publicKey })).toThrow(broken);
    expect(() => hello.complete({ ...introduction, signature: randomBytes(64) })).toThrow(broken);
    // The first word sent back as the answer.
    expect(() => hello.complete(hello.introduction)).toThrow(broken);
    // An answer to another opening.
    const other = answer(bob, channel, ann.id, introduce(ann, channel, bob.id).introduction);
    expect(() => hello.complete(other.introduction)).toThrow(broken);
  });

  test.each([Buffer.alloc(32), Buffer.alloc(31, 1), Buffer.alloc(0)])('refuses a key that is none (%#)', newKey => {
    const { introduction } = introduce(ann, channel, bob.id);
    expect(() => answer(bob, channel, ann.id, { ...introduction, newKey })).toThrow(broken);
  });

  test('that was recorded cannot be opened again with what is said in it', () => {
    const hello = introduce(ann, channel, bob.id);
    const first = answer(bob, channel, ann.id, hello.introduction);
    const frame = hello.complete(first.introduction).seal([Buffer.from('once')]);
    const again = answer(bob, channel, ann.id, hello.introduction);
    expect(() => again.sealed.open(frame)).toThrow(broken);
  });
});
