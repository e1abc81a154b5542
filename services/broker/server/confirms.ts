import { AckWindow } from '../../bus/ack-window.ts';
import { ackFrame, nackFrame } from '../amqp/encode-method.ts';

/** What confirms need of their channel. */
export interface ConfirmHost {
  readonly number: number;
  push(frame: Buffer): void;
  /** So many publishes are being confirmed. */
  confirmed(count: number): void;
  /** Once all that was said to the ledger so far is on disk, if the channel is still there. */
  synced(callback: () => void): void;
}

/** Publisher confirms of one channel (RabbitMQ, "Consumer Acknowledgements and Publisher Confirms"). */
export class Confirms {
  readonly #host: ConfirmHost;
  readonly #window = new AckWindow();
  #last = 0;
  /** Taken and not yet said. */
  #fresh = 0;
  /** Published and not on disk yet. */
  #unsynced: number[] = [];
  #refused: number[] = [];

  constructor(host: ConfirmHost) {
    this.#host = host;
  }

  /** @returns the number of the publish that is taken now */
  next(): number {
    const seq = ++this.#last;
    this.#window.delivered(seq);
    return seq;
  }

  taken(seq: number): void {
    this.#window.acked(seq);
    this.#fresh++;
  }

  /** To be confirmed when it is on disk. */
  logged(seq: number): void {
    this.#unsynced.push(seq);
  }

  /** Some queue was full. */
  refused(seq: number): void {
    this.#window.rejected(seq);
    this.#refused.push(seq);
  }

  /** At the end of each turn: confirms what needs no disk, and asks for the rest to be synced. */
  flush(): void {
    if (this.#refused.length > 0)
      for (const seq of this.#refused.splice(0)) this.#host.push(nackFrame(this.#host.number, seq, false));
    this.#push();
    if (this.#unsynced.length === 0) return;
    const seqs = this.#unsynced;
    this.#unsynced = [];
    this.#host.synced(() => {
      for (const seq of seqs) this.taken(seq);
      this.#push();
    });
  }

  #push(): void {
    if (this.#fresh === 0) return;
    this.#host.confirmed(this.#fresh);
    this.#fresh = 0;
    for (const { tag, multiple } of this.#window.take()) this.#host.push(ackFrame(this.#host.number, tag, multiple));
  }
}
