import { Changes } from '../lib/changes.ts';
import type { Contents } from './contents.ts';
import type { ContentId } from './merkle.ts';
import { UploadLedger } from './upload-ledger.ts';

/** How often it is looked whether there are news, in milliseconds. */
const newsMs = 50;

/** Who pulls one content from us, and what goes to whom. */
export interface Swarm {
  readonly ledger: UploadLedger;
  readonly news: Changes;
  /** Members that watch because they pull it, with how many watches each has. */
  readonly pullers: Map<string, number>;
}

interface Kept extends Swarm {
  users: number;
  seen: string;
}

/** The swarms of contents that somebody has to do with just now. */
export class Swarms {
  readonly #contents: Contents;
  readonly #clock: () => number;
  readonly #swarms = new Map<ContentId, Kept>();
  #ticking: NodeJS.Timeout | undefined;

  constructor(contents: Contents, clock: () => number) {
    this.#contents = contents;
    this.#clock = clock;
  }

  /** The swarm of a content for as long as `act` runs. */
  enter(id: ContentId): Swarm & Disposable {
    const swarm: Kept = this.#swarms.get(id) ?? {
      ...{ ledger: new UploadLedger(), news: new Changes(), pullers: new Map() },
      ...{ users: 0, seen: '' },
    };
    swarm.users++;
    this.#swarms.set(id, swarm);
    this.#ticking ??= setInterval(() => this.#tick(), newsMs);
    const leave = (): void => {
      swarm.users--;
    };
    return { ledger: swarm.ledger, news: swarm.news, pullers: swarm.pullers, [Symbol.dispose]: leave };
  }

  #tick(): void {
    const now = this.#clock();
    for (const [id, swarm] of this.#swarms) {
      const ledger = swarm.ledger.version(now);
      if (swarm.users === 0) {
        if (swarm.ledger.isIdle) this.#swarms.delete(id);
        continue;
      }
      const state = this.#contents.stateOf(id);
      const own =
        state === undefined || state === 'held'
          ? state
          : `${state.download.map.count} ${state.pull
              .coming()
              .map(({ first, count }) => `${first}+${count}`)
              .join(' ')}`;
      const seen = `${ledger} ${[...swarm.pullers.keys()].join(' ')} ${own}`;
      if (seen !== swarm.seen) swarm.news.happened();
      swarm.seen = seen;
    }
    if (this.#swarms.size > 0) return;
    clearInterval(this.#ticking);
    this.#ticking = undefined;
  }

  close(): void {
    clearInterval(this.#ticking);
  }
}
