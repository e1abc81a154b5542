import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FetchPiecesResponse } from '../../proto/gen/warren/peer/v1/peer.ts';
import { headroomBytes, pieceFrames, RoomyFrame, releaseFrame } from '../../services/peer/piece-frame.ts';

const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const numbers = fc.oneof(uint32, fc.constantFrom(0, 1, 127, 128, 16_383, 16_384, 0xffffffff));
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.constantFrom(127, 128, 16_384, 262_144).map(length => new Uint8Array(length).fill(7)),
);

test('a frame is on the wire what the generated codec makes of it, whether written in its room or not', () => {
  fc.assert(
    fc.property(numbers, numbers, bytes, (piece, offset, data) => {
      const wanted = Buffer.from(FetchPiecesResponse.encode({ piece, offset, data: Buffer.from(data) }).finish());
      // What lies before and behind stays as it is.
      const memory = Buffer.alloc(10 + headroomBytes + data.length + 10, 0xee);
      const view = memory.subarray(10 + headroomBytes, 10 + headroomBytes + data.length);
      view.set(data);
      expect(wanted.equals(pieceFrames.encode(new RoomyFrame(piece, offset, view)).finish())).toBe(true);
      expect(memory.subarray(0, 10).every(byte => byte === 0xee)).toBe(true);
      expect(memory.subarray(-10).every(byte => byte === 0xee)).toBe(true);
      expect(wanted.equals(pieceFrames.encode({ piece, offset, data }).finish())).toBe(true);
      const read = pieceFrames.decode(wanted);
      expect({ ...read, data: Buffer.from(read.data) }).toEqual({ piece, offset, data: Buffer.from(data) });
    }),
  );
});

test('what is written otherwise, or is none, is read as the generated codec reads it', () => {
  const ordered = Buffer.from('1a0201020805', 'hex');
  const unknown = Buffer.from('08051002220301020318071a0101', 'hex');
  const long = Buffer.from('0885808080001a0101', 'hex');
  for (const message of [ordered, unknown, long, Buffer.alloc(0)]) {
    const { piece, offset, data } = FetchPiecesResponse.decode(message);
    const read = pieceFrames.decode(message);
    expect({ ...read, data: Buffer.from(read.data) }).toEqual({ piece, offset, data: Buffer.from(data) });
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), message => {
      const outcome = (decode: () => { piece: number; offset: number; data: Uint8Array }) => {
        try {
          const { piece, offset, data } = decode();
          return `${piece} ${offset} ${Buffer.from(data).toString('hex')}`;
        } catch {
          return 'refused';
        }
      };
      expect(outcome(() => pieceFrames.decode(message))).toBe(outcome(() => FetchPiecesResponse.decode(message)));
    }),
    { numRuns: 2_000 },
  );
});

test('the memory of a frame that was released is used again, and nobody else’s', () => {
  const frameOf = (fill: number): Buffer =>
    Buffer.from(FetchPiecesResponse.encode({ piece: 1, offset: 0, data: Buffer.alloc(256 * 1024, fill) }).finish());
  const [first, second] = [pieceFrames.decode(frameOf(1)), pieceFrames.decode(frameOf(2))];
  // Somebody's own, that looks the same.
  const own = Buffer.alloc(256 * 1024, 9);
  releaseFrame(own);
  releaseFrame(first.data);
  const third = pieceFrames.decode(frameOf(3));
  expect(third.data.buffer).toBe(first.data.buffer);
  const fourth = pieceFrames.decode(frameOf(4));
  for (const [data, fill] of [
    [second.data, 2],
    [third.data, 3],
    [fourth.data, 4],
    [own, 9],
  ] as const)
    expect(data.every(byte => byte === fill)).toBe(true);
});
