import { ChunkReader, type ChunkSink } from './chunk-reader.ts';
import type { Fault } from './fault.ts';
import { type Head, type HeadLimits, HeadReader } from './head-reader.ts';

/** Who gets what a stream has checked. */
export interface RequestSink {
  /** Octets of one message: of the one whose head came last. @returns false: no other message for now */
  pass(octets: Buffer): boolean;
  /** A whole head; it is passed after this, perhaps with more behind it. */
  head(head: Head): void;
  /** The last word: nothing is passed after it. @param isInBody of a message whose head was passed */
  refuse(fault: Fault, isInBody: boolean): void;
}

const nothing: Buffer = Buffer.alloc(0);

/**
 * All octets of one connection, in; the same requests, each beyond doubt, out. Pure: no I/O, no time.
 *
 * Modes. `head`: between requests or within a head, of which nothing is passed before it is whole. `length`: within a body of known length.
 * `chunked`: within one in chunks. `over`: nothing is looked at any more: after a fault, and after a request that is the last of its
 * connection.
 */
export class RequestStream {
  readonly #sink: RequestSink;
  readonly #heads: HeadReader;
  readonly #chunks: ChunkReader;
  readonly #chunkSink: ChunkSink;
  #mode: 'head' | 'length' | 'chunked' | 'over' = 'head';
  /** The beginning of a head. */
  #held = nothing;
  #left = 0;
  #isLast = false;
  /** What is good of the octets at hand, and not passed yet. */
  #octets = nothing;
  #from = 0;
  #to = 0;
  #pieces: Buffer[] = [];
  #goesOn = true;

  constructor(sink: RequestSink, limits: HeadLimits) {
    this.#sink = sink;
    this.#heads = new HeadReader(limits);
    this.#chunks = new ChunkReader(limits.head);
    this.#chunkSink = {
      keep: (from, to) => this.#keep(from, to),
      put: text => this.#put(text),
    };
  }

  /** Part of a head has come, and not all of it. */
  get isWithinHead(): boolean {
    return this.#mode === 'head' && this.#heads.hasBegun;
  }

  /** Its head has been passed, and its body not to its end. */
  get isWithinBody(): boolean {
    return this.#mode === 'length' || this.#mode === 'chunked';
  }

  /** The request at hand, or the last one, is HEAD. */
  get isHead(): boolean {
    return this.#heads.isHead;
  }

  get isOver(): boolean {
    return this.#mode === 'over';
  }

  /** Looks at nothing from now on. */
  end(): void {
    this.#mode = 'over';
    this.#isLast = true;
    this.#held = nothing;
  }

  /** @returns the index of the first octet that was not looked at because the sink wants no more for now, or undefined */
  write(chunk: Buffer): number | undefined {
    this.#goesOn = true;
    const held = this.#held.length;
    this.#octets = held > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
    this.#held = nothing;
    this.#from = 0;
    this.#to = 0;
    let at = 0;
    while (this.#mode !== 'over' && at < this.#octets.length) {
      at = this.#mode === 'head' ? this.#head(at) : this.#mode === 'length' ? this.#body(at) : this.#chunked(at);
      if (!this.#goesOn && this.#mode === 'head') {
        this.#octets = nothing;
        return at - held;
      }
    }
    this.#flush();
    this.#octets = nothing;
    return undefined;
  }

  #head(at: number): number {
    const head = this.#heads.read(this.#octets, at);
    if (head === undefined) {
      this.#held = at === 0 ? this.#octets : Buffer.from(this.#octets.subarray(at));
      return this.#octets.length;
    }
    this.#heads.reset();
    if ('status' in head) return this.#fault(head, false);
    this.#sink.head(head);
    this.#isLast = head.isLast;
    let from = head.start;
    for (const edit of head.edits) {
      this.#keep(from, edit.from);
      this.#put(edit.text);
      from = edit.to;
    }
    this.#keep(from, head.end);
    if (head.framing === 'chunked') {
      this.#chunks.reset();
      this.#mode = 'chunked';
    } else if (head.framing > 0) {
      this.#left = head.framing;
      this.#mode = 'length';
    } else this.#messageEnd();
    return head.end;
  }

  #body(at: number): number {
    const end = Math.min(this.#octets.length, at + this.#left);
    this.#keep(at, end);
    this.#left -= end - at;
    if (this.#left === 0) this.#messageEnd();
    return end;
  }

  #chunked(at: number): number {
    const end = this.#chunks.read(this.#octets, at, this.#chunkSink);
    if (typeof end === 'object') return this.#fault(end, true);
    if (end < 0) return this.#octets.length;
    this.#messageEnd();
    return end;
  }

  #messageEnd(): void {
    this.#flush();
    this.#mode = this.#isLast ? 'over' : 'head';
  }

  #fault(fault: Fault, isInBody: boolean): number {
    this.#flush();
    this.#mode = 'over';
    this.#sink.refuse(fault, isInBody);
    return this.#octets.length;
  }

  #keep(from: number, to: number): void {
    if (from !== this.#to) {
      this.#cut();
      this.#from = from;
    }
    this.#to = to;
  }

  #put(text: string): void {
    this.#cut();
    this.#pieces.push(Buffer.from(text, 'latin1'));
  }

  #cut(): void {
    if (this.#to > this.#from) this.#pieces.push(this.#octets.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }

  /** Once a message and piece at most: Node's parser must not be given more once it has paused its socket. */
  #flush(): void {
    if (this.#pieces.length > 0) {
      this.#cut();
      const pieces = this.#pieces;
      this.#pieces = [];
      this.#goesOn = this.#sink.pass(Buffer.concat(pieces));
    } else if (this.#to > this.#from) {
      const isAll = this.#from === 0 && this.#to === this.#octets.length;
      this.#goesOn = this.#sink.pass(isAll ? this.#octets : this.#octets.subarray(this.#from, this.#to));
    }
    this.#from = this.#to;
  }
}
