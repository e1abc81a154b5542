import { type Fault, malformed } from './fault.ts';
import { CR, LF } from './octets.ts';

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const quoted = '"(?:[\\t !#-\\[\\]-~\\x80-\\xff]|\\\\[\\t -~\\x80-\\xff])*"';
/** RFC 9112 §7.1.1: `chunk-size *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`. */
const sizeLine = new RegExp(`^([0-9A-Fa-f]+)((?:[\\t ]*;[\\t ]*${token}(?:[\\t ]*=[\\t ]*(?:${token}|${quoted}))?)*)$`);
const trailerLine = new RegExp(`^${token}:[\\t -~\\x80-\\xff]*$`);

/** Hexadecimal digits that a number holds exactly. */
const mostDigits = 12;
/** Octets of one size line; RFC 9112 §7.1.1: "A server ought to limit the total length of chunk extensions". */
const lineLimit = 4 * 1024;
const extensionLimit = 16 * 1024;

/** What a reader hands on. */
export interface ChunkSink {
  /** Octets `from` to `to` are good as they are. */
  keep(from: number, to: number): void;
  /** Instead of what was not kept. */
  put(text: string): void;
}

/** `size`: in a size line; `data`; `dataEnd`: in the CRLF behind it; `trailers`: behind the last chunk. */
type Place = 'size' | 'data' | 'dataEnd' | 'trailers';

/**
 * Reads one chunked body to the letter (RFC 9112 §7.1) and hands on the same body without extensions ("MUST ignore") and trailers ("MAY
 * be discarded"), so that nobody behind can read them otherwise. Lines that come in pieces are kept until they are whole.
 */
export class ChunkReader {
  readonly #trailerLimit: number;
  #place: Place = 'size';
  /** The beginning of a line, its end not being here yet. */
  #line = '';
  #left = 0;
  #extensions = 0;
  #trailers = 0;

  constructor(trailerLimit: number) {
    this.#trailerLimit = trailerLimit;
  }

  reset(): void {
    this.#place = 'size';
    this.#line = '';
    this.#extensions = 0;
    this.#trailers = 0;
  }

  /** @returns the index behind the body, -1 when it goes on in the next piece, or what is wrong */
  read(octets: Buffer, from: number, sink: ChunkSink): number | Fault {
    let at = from;
    while (at < octets.length) {
      if (this.#place === 'data') {
        const end = Math.min(octets.length, at + this.#left);
        sink.keep(at, end);
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) {
          this.#place = 'dataEnd';
          this.#left = 2;
        }
        continue;
      }
      if (this.#place === 'dataEnd') {
        if (octets[at] !== (this.#left === 2 ? CR : LF)) return malformed('a chunk is longer than its size');
        sink.keep(at, at + 1);
        at++;
        if (--this.#left === 0) this.#place = 'size';
        continue;
      }
      const lineFeed = octets.indexOf(LF, at);
      const end = lineFeed < 0 ? octets.length : lineFeed + 1;
      const isWhole = this.#line === '' && lineFeed >= 0;
      const limit = this.#place === 'size' ? lineLimit : this.#trailerLimit;
      if (this.#line.length + end - at > limit) return tooLong(this.#place);
      this.#line += octets.toString('latin1', at, end);
      // Need not be waited for.
      if (/\r[^\n]/.test(this.#line)) return malformed('a bare CR in a chunked body');
      if (lineFeed < 0) return -1;
      if (!this.#line.endsWith('\r\n')) return malformed('a bare LF in a chunked body');
      const line = this.#line.slice(0, -2);
      this.#line = '';
      if (this.#place === 'size') {
        const fault = this.#size(line, isWhole ? at : undefined, end, sink);
        if (fault) return fault;
      } else {
        this.#trailers += end - at;
        if (this.#trailers > this.#trailerLimit) return tooLong('trailers');
        if (line === '') {
          sink.put('\r\n');
          return end;
        }
        if (!trailerLine.test(line)) return malformed('a trailer is not a field');
      }
      at = end;
    }
    return -1;
  }

  #size(line: string, at: number | undefined, end: number, sink: ChunkSink): Fault | undefined {
    const [, given = '', extensions = ''] = sizeLine.exec(line) ?? [];
    if (given === '') return malformed('a chunk has no size');
    const digits = given.replace(/^0+(?=.)/, '');
    if (digits.length > mostDigits) return malformed('a chunk is too large');
    this.#extensions += extensions.length;
    if (this.#extensions > extensionLimit) return malformed('chunk extensions are longer than the limit');
    if (at !== undefined && extensions === '') sink.keep(at, end);
    else sink.put(`${given}\r\n`);
    this.#left = Number.parseInt(digits, 16);
    this.#place = this.#left === 0 ? 'trailers' : 'data';
    return undefined;
  }
}

function tooLong(place: Place): Fault {
  return place === 'size'
    ? malformed('a chunk size line is longer than the limit')
    : { status: 431, reason: 'trailers larger than the limit' };
}
