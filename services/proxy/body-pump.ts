import type { Readable } from 'node:stream';
import { SendCredit } from '../lib/credit.ts';
import { partBytes } from '../lib/parts.ts';
import type { BodyRefusal } from './request-body.ts';

export interface PumpOptions {
  /** Of the whole body; more: 413. */
  readonly limitBytes: number;
  /** Milliseconds without a byte, while one is welcome, after which the client gets 408; undefined: any time is right. */
  readonly progressMs: number | undefined;
  send(body: Buffer, last: boolean): void;
  refuse(refusal: BodyRefusal): void;
}

/** Sends on what a client says, as far as there is credit for it, and reads no more of it than that. */
export class BodyPump {
  readonly #source: Readable;
  readonly #options: PumpOptions;
  readonly #credit = new SendCredit();
  #pending: Buffer[];
  #bytes: number;
  #isEnded = false;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param beginning what was read already */
  constructor(source: Readable, beginning: Buffer, options: PumpOptions) {
    this.#source = source;
    this.#options = options;
    this.#pending = beginning.length > 0 ? [beginning] : [];
    this.#bytes = beginning.length;
    source.pause();
    source.on('data', this.#onData);
    source.once('end', this.#onEnd);
    if (source.readableEnded) this.#isEnded = true;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  credit(until: number): void {
    if (this.#credit.extend(until)) this.#flush();
  }

  /** Nobody wants the rest. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#pending = [];
    this.#source.off('data', this.#onData).off('end', this.#onEnd);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    const { limitBytes } = this.#options;
    if (this.#bytes > limitBytes) {
      this.stop();
      this.#options.refuse({ status: 413, reason: `request body larger than ${limitBytes} bytes` });
      return;
    }
    this.#pending.push(chunk);
    this.#flush();
  };

  readonly #onEnd = (): void => {
    this.#isEnded = true;
    this.#flush();
  };

  #flush(): void {
    while (!this.#isOver && this.#pending.length > 0 && this.#credit.room > 0) {
      const chunk = this.#pending[0] as Buffer;
      const size = Math.min(chunk.length, partBytes, this.#credit.room);
      if (size === chunk.length) this.#pending.shift();
      else this.#pending[0] = chunk.subarray(size);
      this.#credit.sent(size);
      this.#send(size === chunk.length ? chunk : chunk.subarray(0, size), this.#isEnded && this.#pending.length === 0);
    }
    if (this.#isOver) return;
    if (this.#isEnded && this.#pending.length === 0) this.#send(Buffer.alloc(0), true);
    else this.#read(this.#pending.length === 0 && this.#credit.room > 0);
  }

  #send(body: Buffer, last: boolean): void {
    if (last) this.stop();
    this.#options.send(body, last);
  }

  /** Reads on, or not, and is impatient only while it does. */
  #read(isWelcome: boolean): void {
    const { progressMs } = this.#options;
    if (!isWelcome) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#source.pause();
      return;
    }
    if (progressMs !== undefined) {
      if (this.#timer) this.#timer.refresh();
      else this.#timer = setTimeout(() => this.#stalled(progressMs), progressMs);
    }
    this.#source.resume();
  }

  #stalled(progressMs: number): void {
    this.stop();
    this.#options.refuse({ status: 408, reason: `no byte of the body within ${progressMs} ms` });
  }
}
