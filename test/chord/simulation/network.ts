import type { Identifier } from '../../../services/chord/identifier.ts';
import type { Peer } from '../../../services/chord/peer.ts';
import type { Neighbours, RingCall, RingCalls, RingTransport } from '../../../services/chord/ports.ts';
import type { EventQueue } from './event-queue.ts';

/** A living process behind a peer. It may answer at once or later. */
export type Process = <K extends RingCall>(
  call: K,
  request: RingCalls[K]['request'],
  from: Peer,
) => RingCalls[K]['reply'] | Promise<RingCalls[K]['reply']>;

/** One way, for each message. */
export interface Weather {
  /** Milliseconds. */
  delay(): number;
  isLost(call: RingCall): boolean;
  isDoubled(): boolean;
}

/** What a node will take for its neighbour's list, but has not got yet. */
export interface ListOnItsWay {
  readonly asker: Peer;
  readonly from: Peer;
  readonly neighbours: Neighbours;
}

/**
 * Requests and answers as single messages over virtual time: delayed, and so in any order, lost, doubled, cut. Who is dead answers nothing;
 * who lives and refuses (a node outside of the ring) answers that.
 */
export class Network {
  weather: Weather;
  /** Whether nothing passes from one to the other. */
  isCut: (from: Identifier, to: Identifier) => boolean = () => false;
  /** Calls made. */
  calls = 0;
  readonly listsOnTheirWay = new Set<ListOnItsWay>();
  readonly #queue: EventQueue;
  readonly #processes = new Map<Identifier, Process>();

  constructor(queue: EventQueue, weather: Weather) {
    this.#queue = queue;
    this.weather = weather;
  }

  start(id: Identifier, process: Process): void {
    this.#processes.set(id, process);
  }

  kill(id: Identifier): void {
    this.#processes.delete(id);
  }

  isRunning(id: Identifier): boolean {
    return this.#processes.has(id);
  }

  transportOf(self: Peer): RingTransport {
    return {
      call: (to, call, request) => {
        this.calls++;
        return new Promise((resolve, reject) => {
          this.#send(call, self.id, to.id, () => this.#deliver(self, to, call, request, resolve, reject));
        });
      },
    };
  }

  /** @returns whether it will arrive */
  #send(call: RingCall, from: Identifier, to: Identifier, arrive: () => unknown): boolean {
    let sent = 0;
    for (let copies = this.weather.isDoubled() ? 2 : 1; copies > 0; copies--) {
      if (this.weather.isLost(call) || this.isCut(from, to)) continue;
      this.#queue.after(this.weather.delay(), arrive);
      sent++;
    }
    return sent > 0;
  }

  #deliver<K extends RingCall>(
    from: Peer,
    to: Peer,
    call: K,
    request: RingCalls[K]['request'],
    resolve: (reply: RingCalls[K]['reply']) => void,
    reject: (reason: unknown) => void,
  ): unknown {
    const process = this.#processes.get(to.id);
    if (!process) return false;
    let reply: RingCalls[K]['reply'] | Promise<RingCalls[K]['reply']>;
    try {
      reply = process(call, request, from);
    } catch (error) {
      this.#send(call, to.id, from.id, () => reject(error));
      return false;
    }
    if (reply instanceof Promise) {
      reply.then(
        value => this.#send(call, to.id, from.id, () => resolve(value)),
        error => this.#send(call, to.id, from.id, () => reject(error)),
      );
      return true;
    }
    const now = reply;
    if (call === 'neighbours') {
      const list = { asker: from, from: to, neighbours: now as Neighbours };
      const isOnItsWay = this.#send(call, to.id, from.id, () => {
        this.listsOnTheirWay.delete(list);
        resolve(now);
      });
      if (isOnItsWay) this.listsOnTheirWay.add(list);
      return false;
    }
    this.#send(call, to.id, from.id, () => resolve(now));
    // Whoever is notified or nudged may go on with something of its own.
    return call === 'notify' || call === 'nudge';
  }
}
