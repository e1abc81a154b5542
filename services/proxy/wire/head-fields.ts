import { type Fault, malformed } from './fault.ts';

/** How long a request's body is (RFC 9112 §6.3). */
export type Framing = 'chunked' | number;

/** All digits that a number holds exactly, and far beyond what any limit allows. */
const mostDigits = 15;
const codings = /^[!#$%&'*+.^_`|~0-9a-z-]+(?:[\t ]*,[\t ]*[!#$%&'*+.^_`|~0-9a-z-]+)*$/i;

/** The fields of one request that say where it ends, and whether its connection goes on after it. */
export class HeadFields {
  #length: string | undefined;
  #coding: string | undefined;
  #wantsClose = false;
  #wantsKeepAlive = false;
  #wantsUpgrade = false;
  #hasUpgrade = false;
  #fault: Fault | undefined;

  reset(): void {
    this.#length = undefined;
    this.#coding = undefined;
    this.#wantsClose = false;
    this.#wantsKeepAlive = false;
    this.#wantsUpgrade = false;
    this.#hasUpgrade = false;
    this.#fault = undefined;
  }

  /** One field line, in order of arrival. @param name lower case @param value without whitespace around it */
  add(name: string, value: string): void {
    switch (name) {
      case 'content-length':
        // A list of equal lengths may be rejected (RFC 9110 §8.6), and lines that repeat are one (§5.3).
        if (this.#length !== undefined) this.#fault ??= malformed('more than one Content-Length');
        this.#length = value;
        break;
      case 'transfer-encoding':
        if (this.#coding !== undefined) this.#fault ??= malformed('more than one Transfer-Encoding');
        this.#coding = value;
        break;
      case 'connection':
        if (value === 'keep-alive') this.#wantsKeepAlive = true;
        else for (const option of value.toLowerCase().split(',')) this.#option(option.trim());
        break;
      case 'proxy-connection':
        // Means nothing (RFC 9112 §C.2.2), but Node's parser believes it.
        if (/close/i.test(value)) this.#wantsClose = true;
        break;
      case 'upgrade':
        this.#hasUpgrade = true;
    }
  }

  #option(option: string): void {
    if (option === 'close') this.#wantsClose = true;
    else if (option === 'keep-alive') this.#wantsKeepAlive = true;
    else if (option === 'upgrade') this.#wantsUpgrade = true;
  }

  /** RFC 9112 §6.3, rules 3 to 7; where a recipient may choose, the message is rejected. @param minor of HTTP/1.x */
  framing(minor: number): Framing | Fault {
    if (this.#fault) return this.#fault;
    if (this.#coding !== undefined) {
      if (this.#length !== undefined) return malformed('both Content-Length and Transfer-Encoding');
      // "MUST treat the message as if the framing is faulty" (RFC 9112 §6.1).
      if (minor === 0) return malformed('Transfer-Encoding in HTTP/1.0');
      return codingProblem(this.#coding) ?? 'chunked';
    }
    if (this.#length === undefined) return 0;
    if (!/^\d+$/.test(this.#length)) return malformed('Content-Length is not a number');
    // Legal, and read as octal by some.
    if (/^0\d/.test(this.#length)) return malformed('Content-Length begins with 0');
    if (this.#length.length > mostDigits) return malformed('Content-Length is too large');
    return Number(this.#length);
  }

  /** The connection closes after the response (RFC 9112 §9.3). */
  isLast(minor: number): boolean {
    return this.#wantsClose || (minor === 0 && !this.#wantsKeepAlive);
  }

  /** RFC 9110 §7.8: "A server MUST ignore an Upgrade header field that is received in an HTTP/1.0 request." */
  isUpgrade(minor: number): boolean {
    return this.#wantsUpgrade && this.#hasUpgrade && minor > 0;
  }
}

/** Only `chunked` alone is served. */
function codingProblem(value: string): Fault | undefined {
  const coding = value.toLowerCase();
  if (coding === 'chunked') return undefined;
  if (!codings.test(coding)) return malformed('Transfer-Encoding is not a list of codings');
  const list = coding.split(',').map(each => each.trim());
  const isFramed = list.at(-1) === 'chunked' && list.indexOf('chunked') === list.length - 1;
  return isFramed && !list.includes('identity')
    ? { status: 501, reason: 'no transfer coding but chunked is served' }
    : malformed('the last transfer coding is not chunked, or chunked is not once');
}
