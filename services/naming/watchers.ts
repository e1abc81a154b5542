import type { NameChanged, WatchResponse } from '../../proto/gen/warren/naming/v1/naming.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { Caller } from '../lib/rpc/definition.ts';
import type { NameTable } from './name-table.ts';

const maxWatchers = 100;
/** Of one address. */
const maxOfOne = 20;
/** Changes that wait for a watcher that does not read; then it is sent away, and asks anew. */
const maxBehind = 100;

/** Those who are told of each change: each with a line of what it has not read yet, which is bounded. */
export class Watchers {
  readonly #table: NameTable;
  readonly #current: (name: string) => NameChanged[];
  /** What ends each, and whose it is. */
  readonly #ends = new Map<() => void, string>();

  constructor(table: NameTable, current: (name: string) => NameChanged[]) {
    this.#table = table;
    this.#current = current;
  }

  /** @param name '' for all @throws CallFailure NAMING_WATCHERS when there are too many; later NAMING_SLOW for who does not read */
  watch(name: string, { address, signal }: Caller): AsyncIterable<WatchResponse> {
    const own = [...this.#ends.values()].filter(each => each === address).length;
    if (this.#ends.size >= maxWatchers || own >= maxOfOne)
      throw new CallFailure('RESOURCE_EXHAUSTED', 'NAMING_WATCHERS', 'there are as many watchers as may be');
    return this.#follow(name, address, signal);
  }

  async *#follow(name: string, address: string, signal: AbortSignal): AsyncGenerator<WatchResponse> {
    let waiting = this.#current(name);
    let isEnded = signal.aborted;
    let isSlow = false;
    let wake = (): void => {};
    const end = (): void => {
      isEnded = true;
      wake();
    };
    const stop = this.#table.onChange(change => {
      if (name !== '' && change.record.name !== name) return;
      if (waiting.length >= maxBehind) isSlow = true;
      else waiting.push(change);
      wake();
    });
    this.#ends.set(end, address);
    signal.addEventListener('abort', end);
    try {
      while (!isEnded) {
        const changes = waiting;
        waiting = [];
        for (const change of changes) {
          yield { change };
          if (isEnded) return;
          if (isSlow) throw new CallFailure('RESOURCE_EXHAUSTED', 'NAMING_SLOW', 'you read too slowly: watch again');
        }
        if (waiting.length > 0) continue;
        await new Promise<void>(resolve => {
          wake = resolve;
        });
      }
    } finally {
      stop();
      this.#ends.delete(end);
      signal.removeEventListener('abort', end);
    }
  }

  /** Ends all of them. */
  close(): void {
    for (const end of this.#ends.keys()) end();
  }
}
