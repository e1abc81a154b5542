/** How many bytes the offers of others may bring in. What is promised counts at once, what fails gives its room back. */
export class OfferQuota {
  #bytes: number;
  #used: number;
  readonly #promised = new Map<string, number>();
  readonly #mostAtOnce: number;

  constructor({ bytes, used, mostAtOnce }: { bytes: number; used: number; mostAtOnce: number }) {
    this.#bytes = bytes;
    this.#used = used;
    this.#mostAtOnce = mostAtOnce;
  }

  /** Bytes that came. */
  get used(): number {
    return this.#used;
  }

  get bytes(): number {
    return this.#bytes;
  }

  set bytes(bytes: number) {
    this.#bytes = bytes;
  }

  /** @param of any key of the transfer @returns why not; undefined: there is room, and it is taken */
  promise(of: string, length: number): 'QUOTA' | 'BUSY' | undefined {
    if (this.#promised.has(of)) return undefined;
    if (this.#promised.size >= this.#mostAtOnce) return 'BUSY';
    let open = 0;
    for (const promised of this.#promised.values()) open += promised;
    if (length > this.#bytes - this.#used - open) return 'QUOTA';
    this.#promised.set(of, length);
    return undefined;
  }

  /** It has come, or will not. */
  settle(of: string, hasCome: boolean): void {
    if (hasCome) this.#used += this.#promised.get(of) ?? 0;
    this.#promised.delete(of);
  }
}
