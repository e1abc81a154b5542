import type { Bus } from '../bus/bus.ts';

/** How many jobs wait in each service's queue, asked from time to time: each time costs the broker a channel. */
export class QueueDepths {
  readonly #queued = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;

  constructor(bus: Bus, services: readonly string[], everyMs: number) {
    let isAsking = false;
    const ask = async (): Promise<void> => {
      if (isAsking) return;
      isAsking = true;
      for (const service of services) {
        try {
          if (bus.state !== 'up') throw new Error('not now');
          this.#queued.set(service, (await bus.depth(`proxy.jobs.${service}`)).messages);
        } catch {
          this.#queued.delete(service);
        }
      }
      isAsking = false;
    };
    this.#timer = setInterval(ask, everyMs);
    this.#timer.unref();
  }

  /** Undefined while that is not known. */
  of(service: string): number | undefined {
    return this.#queued.get(service);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
