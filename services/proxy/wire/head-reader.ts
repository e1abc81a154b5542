import { type Fault, malformed } from './fault.ts';
import { type Framing, HeadFields } from './head-fields.ts';
import { COLON, CR, HTAB, LF, octetClasses, SP, tokenOctet, valueOctet, visibleOctet } from './octets.ts';

/** What of a request's head its framing needs; its meaning is read elsewhere. */
export interface Head {
  /** Indexes of its first octet, and of the one behind its empty line. */
  readonly start: number;
  readonly end: number;
  readonly framing: Framing;
  /** Nothing more of this connection is read: "MUST NOT process any further requests" (RFC 9112 §9.6). */
  readonly isLast: boolean;
  readonly isUpgrade: boolean;
  /** What is good, and said so that Node's parser takes it; in order. */
  readonly edits: readonly Edit[];
}

/** Instead of the octets `from` to `to`. */
export interface Edit {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

export interface HeadLimits {
  /** Octets of a head, request line included. */
  readonly head: number;
  /** What is implemented; case counts (RFC 9110 §9.1). */
  readonly methods: ReadonlySet<string>;
}

/** "SHOULD ignore at least one empty line (CRLF) received prior to the request-line" (RFC 9112 §2.2). */
const mostEmptyLines = 4;
const version = [...'HTTP/'].map(letter => letter.charCodeAt(0));

/** Names worth a look, by their length; of no length two, so that other fields cost no string. */
const namesOfNote: readonly (string | undefined)[] = Array.from({ length: 32 }, (_, length) =>
  ['upgrade', 'connection', 'content-length', 'proxy-connection', 'transfer-encoding'].find(
    name => name.length === length,
  ),
);

/**
 * Where the reader is in a head: `start` (before the request line; empty lines are skipped), `method`, `target`, `version`, `line` (at
 * a line's first octet), `name`, `value`, `last` (behind the CR of the empty line).
 */
type Place = 'start' | 'method' | 'target' | 'version' | 'line' | 'name' | 'value' | 'last';

/**
 * Reads one request head to the letter of RFC 9112 §2 to §5 and looks at each octet once, however many pieces it comes in. No bare CR or
 * LF, no folded line, no whitespace but where the grammar has it.
 */
export class HeadReader {
  readonly #limits: HeadLimits;
  readonly #fields = new HeadFields();
  #place: Place = 'start';
  /** Relative to the first octet of the head: the next to look at, and where things began. */
  #at = 0;
  #skipped = 0;
  #emptyLines = 0;
  #began = 0;
  #nameEnd = 0;
  #method = '';
  #minor = 1;
  #edits: Edit[] = [];
  #refusal: Fault | undefined;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
  }

  /** Something came that is no empty line. */
  get hasBegun(): boolean {
    return this.#place !== 'start';
  }

  /** The last method read is HEAD. */
  get isHead(): boolean {
    return this.#method === 'HEAD';
  }

  reset(): void {
    this.#fields.reset();
    this.#place = 'start';
    this.#at = 0;
    this.#skipped = 0;
    this.#emptyLines = 0;
    this.#refusal = undefined;
    if (this.#edits.length > 0) this.#edits = [];
  }

  /**
   * @param base index of the head's first octet, the same at each call relative to the head
   * @returns undefined when the head is not at its end yet
   */
  read(octets: Buffer, base: number): Head | Fault | undefined {
    const limit = Math.min(octets.length, base + this.#limits.head);
    let at = base + this.#at;
    while (at < limit) {
      switch (this.#place) {
        case 'start':
          if (octets[at] === CR) {
            if (at + 1 === limit) return this.#pause(octets, at, base);
            if (octets[at + 1] !== LF) return malformed('a bare CR before the request line');
            if (++this.#emptyLines > mostEmptyLines) return malformed('empty lines instead of a request');
            at += 2;
            this.#skipped = at - base;
            break;
          }
          this.#place = 'method';
          this.#method = '';
          this.#began = at - base;
          break;
        case 'method': {
          at = skip(octets, at, limit, tokenOctet);
          if (at === limit) return this.#pause(octets, at, base);
          const begin = base + this.#began;
          if (octets[at] !== SP || at === begin)
            return malformed('the request line does not begin with a method and a space');
          const method = octets.toString('latin1', begin, at);
          this.#method = method;
          // Said when the rest has turned out to be a request.
          if (method === 'CONNECT') this.#refusal = { status: 405, reason: 'CONNECT is not served' };
          else if (!this.#limits.methods.has(method)) this.#refusal = notImplemented;
          at++;
          this.#place = 'target';
          this.#began = at - base;
          break;
        }
        case 'target':
          at = skip(octets, at, limit, visibleOctet);
          if (at === limit) return this.#pause(octets, at, base);
          if (octets[at] !== SP || at === base + this.#began)
            return malformed('the request line is not "method target HTTP/1.1"');
          if (this.#method !== 'CONNECT' && !isTarget(octets, base + this.#began, at))
            return malformed('the target is neither a path nor a URL');
          at++;
          this.#place = 'version';
          this.#began = at - base;
          break;
        case 'version': {
          // HTTP/1.1 CR LF
          const begin = base + this.#began;
          for (; at < limit && at < begin + 10; at++) {
            const index = at - begin;
            const octet = octets[at] ?? 0;
            const isDigit = octet >= 0x30 && octet <= 0x39;
            const isGood =
              index < 5
                ? octet === version[index]
                : index === 6
                  ? octet === 0x2e
                  : index === 8
                    ? octet === CR
                    : index === 9
                      ? octet === LF
                      : isDigit;
            if (!isGood) return malformed('the request line does not end with HTTP/1.1 and CRLF');
          }
          if (at < begin + 10) return this.#pause(octets, at, base);
          if (octets[begin + 5] !== 0x31) return { status: 505, reason: 'only HTTP/1.1 and HTTP/1.0 are served' };
          this.#minor = (octets[begin + 7] ?? 0x31) - 0x30;
          // "SHOULD process the message as if it was in the highest minor version within that major version to which the recipient is
          // conformant" (RFC 9110 §2.5).
          if (this.#minor > 1) this.#edit(begin + 7, begin + 8, '1', base);
          this.#place = 'line';
          break;
        }
        case 'line':
          if (octets[at] === CR) {
            at++;
            this.#place = 'last';
            break;
          }
          if (octets[at] === SP || octets[at] === HTAB) return malformed('a folded header line');
          this.#place = 'name';
          this.#began = at - base;
          break;
        case 'name':
          at = skip(octets, at, limit, tokenOctet);
          if (at === limit) return this.#pause(octets, at, base);
          if (octets[at] !== COLON || at === base + this.#began)
            return malformed('a header line does not begin with a name and a colon');
          this.#nameEnd = at - base;
          at++;
          this.#place = 'value';
          break;
        case 'value': {
          at = skip(octets, at, limit, valueOctet);
          if (at === limit) return this.#pause(octets, at, base);
          if (octets[at] !== CR) return malformed('a header value has a character that none may have');
          if (at + 1 === limit) return this.#pause(octets, at, base);
          if (octets[at + 1] !== LF) return malformed('a bare CR in a header line');
          const noted = namesOfNote[this.#nameEnd - this.#began];
          if (noted !== undefined && (octets[base + this.#began] ?? 0) % 32 === noted.charCodeAt(0) % 32)
            this.#note(noted, octets, base, at);
          at += 2;
          this.#place = 'line';
          break;
        }
        case 'last':
          if (octets[at] !== LF) return malformed('a bare CR in the head');
          return this.#finish(base, at + 1);
      }
    }
    return this.#pause(octets, at, base);
  }

  #note(name: string, octets: Buffer, base: number, end: number): void {
    if (octets.toString('latin1', base + this.#began, base + this.#nameEnd).toLowerCase() !== name) return;
    const from = base + this.#nameEnd + 1;
    const given = octets.toString('latin1', from, end);
    const value = trimmed(given);
    this.#fields.add(name, value);
    // Node's parser does not take every whitespace around it (RFC 9110 §5.5).
    if (name === 'transfer-encoding' && given !== ` ${value}`) this.#edit(from, end, ` ${value}`, base);
  }

  #edit(from: number, to: number, text: string, base: number): void {
    this.#edits.push({ from: from - base, to: to - base, text });
  }

  #pause(octets: Buffer, at: number, base: number): Fault | undefined {
    this.#at = at - base;
    if (octets.length - base < this.#limits.head) return undefined;
    switch (this.#place) {
      case 'start':
      case 'method':
        return notImplemented;
      case 'target':
      case 'version':
        return { status: 414, reason: 'the target is longer than the limit' };
      default:
        return { status: 431, reason: 'header larger than the limit' };
    }
  }

  #finish(base: number, end: number): Head | Fault {
    const framing = this.#fields.framing(this.#minor);
    if (typeof framing === 'object') return framing;
    if (this.#refusal) return this.#refusal;
    return {
      start: base + this.#skipped,
      end,
      framing,
      isLast: this.#fields.isLast(this.#minor),
      isUpgrade: this.#fields.isUpgrade(this.#minor),
      edits:
        this.#edits.length === 0
          ? none
          : this.#edits.map(({ from, to, text }) => ({ from: base + from, to: base + to, text })),
    };
  }
}

/** RFC 9110 §15.6.2; also "a method longer than any that it implements" (RFC 9112 §3). */
const notImplemented: Fault = { status: 501, reason: 'the method is not implemented' };

const SLASH = 0x2f;
const ASTERISK = 0x2a;
const LETTER_H = 0x68;

/** A path, `*`, or something that begins like a URL (RFC 9112 §3.2); the authority form is for CONNECT, which is refused. */
function isTarget(octets: Buffer, from: number, to: number): boolean {
  const first = octets[from] ?? 0;
  if (first === SLASH) return true;
  if (first === ASTERISK) return to === from + 1;
  return (
    (first | 0x20) === LETTER_H && /^https?:\/\/[^/?]/i.test(octets.toString('latin1', from, Math.min(to, from + 10)))
  );
}

const none: readonly Edit[] = [];

/** @returns the index of the first octet that is not of this kind, `limit` at most */
function skip(octets: Buffer, from: number, limit: number, kind: number): number {
  // In range by the loop's own condition; `?? 0` here costs half of all that reading a head does.
  let at = from;
  while (at < limit && ((octetClasses[octets[at] as number] as number) & kind) !== 0) at++;
  return at;
}

/** Without OWS at either end (RFC 9110 §5.6.3); `trim` would take more kinds of space. */
function trimmed(value: string): string {
  let from = 0;
  let to = value.length;
  while (from < to && isBlank(value.charCodeAt(from))) from++;
  while (to > from && isBlank(value.charCodeAt(to - 1))) to--;
  return value.slice(from, to);
}

function isBlank(octet: number): boolean {
  return octet === SP || octet === HTAB;
}
