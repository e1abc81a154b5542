import fc from 'fast-check';
import { expect, test } from 'vitest';
import { closeFrame, FrameBoundary } from '../../services/proxy/websocket-frames.ts';

/** RFC 6455 §5.2, written the other way round. */
function frame({ size, isMasked }: { size: number; isMasked: boolean }): Buffer {
  const mask = isMasked ? 0x80 : 0;
  const length =
    size < 126
      ? Buffer.from([mask | size])
      : size < 65_536
        ? Buffer.from([mask | 126, size >> 8, size & 0xff])
        : Buffer.from([mask | 127, 0, 0, 0, 0, size >>> 24, (size >> 16) & 0xff, (size >> 8) & 0xff, size & 0xff]);
  // Octets that would be heads themselves.
  return Buffer.concat([Buffer.from([0x82]), length, Buffer.alloc(isMasked ? 4 : 0, 0xff), Buffer.alloc(size, 0x88)]);
}

test('a whole number of frames is known as such, in whatever pieces they come', () => {
  const size = fc.oneof(fc.nat(130), fc.constantFrom(0, 125, 126, 65_535, 65_536, 70_000));
  fc.assert(
    fc.property(
      fc.array(fc.record({ size, isMasked: fc.boolean() }), { minLength: 1, maxLength: 5 }),
      fc.infiniteStream(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 50_000 }))),
      (frames, steps) => {
        const encoded = frames.map(frame);
        const ends = new Set<number>([0]);
        let total = 0;
        for (const { length } of encoded) {
          total += length;
          ends.add(total);
        }
        const stream = Buffer.concat(encoded);
        const boundary = new FrameBoundary();
        for (let at = 0; at < stream.length; ) {
          const piece = stream.subarray(at, at + steps.next().value);
          boundary.push(piece);
          at += piece.length;
          expect(boundary.isBetweenFrames).toBe(ends.has(at));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('a close frame is one control frame, whatever the reason: whole characters, 125 octets at most (RFC 6455 §5.5)', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300, size: 'max' }), reason => {
      const octets = closeFrame(1013, reason);
      expect(octets[0]).toBe(0x88);
      expect(octets[1]).toBe(octets.length - 2);
      expect(octets.length).toBeLessThanOrEqual(127);
      expect(octets.readUInt16BE(2)).toBe(1013);
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets.subarray(4));
      expect(reason.toWellFormed().startsWith(text)).toBe(true);
    }),
  );
  expect(closeFrame(1001, 'the proxy stops').toString('latin1', 4)).toBe('the proxy stops');
});
