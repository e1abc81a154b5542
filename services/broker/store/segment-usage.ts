import { segmentOf } from './frame.ts';
import type { RecordRef } from './record-ref.ts';

/** How much of each segment still matters. */
export class SegmentUsage {
  readonly #bySegment = new Map<number, number>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  of(segment: number): number {
    return this.#bySegment.get(segment) ?? 0;
  }

  add({ position, bytes }: RecordRef): void {
    this.#count(segmentOf(position), bytes);
  }

  drop({ position, bytes }: RecordRef): void {
    this.#count(segmentOf(position), -bytes);
  }

  #count(segment: number, bytes: number): void {
    this.#bytes += bytes;
    const left = this.of(segment) + bytes;
    if (left === 0) this.#bySegment.delete(segment);
    else this.#bySegment.set(segment, left);
  }
}
