import type { IndexChanges } from '../../proto/gen/warren/directory/v1/announcement.ts';
import type { IndexState, SharedFile } from '../../proto/gen/warren/directory/v1/files.ts';
import type { Outgoing } from '../bus/bus.ts';
import type { MemberHost } from '../bus/hosted.ts';
import { backoffMs } from '../lib/backoff.ts';
import { messageOf } from '../lib/failure.ts';
import { pause } from '../lib/pause.ts';
import type { ContentIndex, FileFacts } from './content-index.ts';

/** How the directory wants to be told: its own word for it (directory/client.ts). */
export interface Announcing {
  announcementOf(keys: MemberHost['keys'], changes: IndexChanges): Outgoing;
  snapshotOf(counter: number, files: readonly SharedFile[]): IndexChanges[];
  deltasOf(
    nextCounter: () => number,
    changes: { files: readonly SharedFile[]; removed: readonly string[] },
  ): IndexChanges[];
}

const atOnce = 1_000;
const pageFiles = 1_000;
/** Changes that come together go together, in milliseconds. */
const gatherMs = 100;
/** How often it is looked at what the directory knows of us. */
const compareMs = 15_000;
/** A whole list is not told more often; when it does not help, ever more rarely. */
const wholeBounds = { firstMs: 60_000, mostMs: 3_600_000 };
const retryBounds = { firstMs: 500, maxMs: 30_000 };
/** A path that is longer is not taken by the directory. */
const mostNameBytes = 1_024;

interface Needs {
  readonly host: Pick<MemberHost, 'bus' | 'keys' | 'directory' | 'random' | 'warn' | 'clock' | 'session'>;
  readonly index: ContentIndex;
  readonly announcing: Announcing;
  /** Whether all that is on the disk is in the index. */
  readonly isSettled: () => boolean;
}

/**
 * Tells the directory what is shared: each change, confirmed by the broker, and everything when the directory turns out to know something
 * else. What could not be told stays in the index's database until it could.
 */
export class Announcer {
  readonly #needs: Needs;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #wake = new AbortController();
  #hasNews = true;
  #comparedAt = Number.NEGATIVE_INFINITY;
  #wholeAt = Number.NEGATIVE_INFINITY;
  #wholeMs = 0;
  #told = '';
  #warned = '';
  /** What the directory was seen to differ in, until it is seen again. */
  #doubt = '';

  constructor(needs: Needs) {
    this.#needs = needs;
    this.#running = this.#run();
  }

  /** There is something new in the index. */
  look(): void {
    this.#hasNews = true;
    this.#wake.abort();
  }

  /** For people. */
  get state(): string {
    return this.#told;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    const { bus, random, warn } = this.#needs.host;
    let failures = 0;
    let warned = '';
    while (!signal.aborted) {
      try {
        await bus.ready(signal);
        await this.#tellChanges();
        await this.#compare();
        failures = 0;
        warned = '';
      } catch (error) {
        if (signal.aborted) return;
        const reason = messageOf(error);
        if (reason !== warned && bus.state === 'up') warn(`files: cannot tell what is shared: ${reason}`);
        warned = reason;
        await pause(backoffMs(failures++, retryBounds, random), signal);
        continue;
      }
      if (this.#hasNews) await pause(gatherMs, signal);
      else {
        this.#wake = new AbortController();
        await pause(compareMs, AbortSignal.any([signal, this.#wake.signal]));
        if (this.#wake.signal.aborted) await pause(gatherMs, signal);
      }
    }
  }

  async #tellChanges(): Promise<void> {
    const { index, announcing } = this.#needs;
    for (;;) {
      this.#hasNews = false;
      const changes = index.changes(atOnce);
      const last = changes.at(-1);
      if (last === undefined) return;
      const files = changes.flatMap(({ facts }) => (facts === undefined ? [] : sharedFile(facts)));
      const removed = changes.filter(({ path, facts }) => facts === undefined && isTold(path)).map(({ path }) => path);
      for (const each of announcing.deltasOf(() => last.counter, { files, removed })) await this.#publish(each);
      index.forgetChanges(last.counter);
    }
  }

  /** Whether the directory knows what it should; if not, and not again when it has caught up, it is told everything. */
  async #compare(): Promise<void> {
    const { host, index, isSettled } = this.#needs;
    const now = host.clock();
    if (now - this.#comparedAt < compareMs && this.#comparedAt > 0) return;
    if (!host.session.isLoggedIn()) return;
    this.#comparedAt = now;
    const { index: state } = await host.directory.ping({ token: '', addresses: [] }, { signal: this.#closing.signal });
    if (index.changes(1).length > 0 || !isSettled()) return;
    const doubt = this.#differs(state);
    if (doubt === '') {
      this.#doubt = '';
      this.#wholeMs = 0;
      this.#warned = '';
      return;
    }
    const isSeenAgain = doubt === this.#doubt;
    this.#doubt = doubt;
    // It may still be taking in what it was told.
    if (!isSeenAgain) {
      this.#comparedAt = now - compareMs + 2_000;
      return;
    }
    // Everything was told, and it is as before.
    if (this.#wholeMs > 0 && this.#warned !== doubt) {
      this.#warned = doubt;
      host.warn(`files: the directory does not know all that is shared: ${doubt}`);
    }
    if (now - this.#wholeAt <= Math.max(this.#wholeMs, wholeBounds.firstMs)) return;
    this.#wholeMs = Math.min(wholeBounds.mostMs, this.#wholeMs * 2 || wholeBounds.firstMs);
    await this.#tellAll();
  }

  #differs(state: IndexState | undefined): string {
    const { index } = this.#needs;
    const files = countOf(index);
    if (state === undefined) return files === 0 ? '' : 'it knows nothing';
    if (state.refused !== '') return `it refused something: ${state.refused}`;
    return state.files === files ? '' : `it knows ${state.files} of ${files}`;
  }

  async #tellAll(): Promise<void> {
    const { index, announcing, host } = this.#needs;
    this.#wholeAt = host.clock();
    // What changes from here on has a higher one, and holds against the list.
    const counter = index.nextCounter();
    const files: SharedFile[] = [];
    for (let after = ''; ; ) {
      const page = index.listFiles(after, pageFiles);
      for (const { path, id, length, modifiedMs } of page)
        files.push(...sharedFile({ path, kind: 'file', id, length, modifiedMs }));
      const last = page.at(-1);
      if (last === undefined) break;
      after = last.path;
    }
    for (const folder of index.listFolders()) files.push(...sharedFile(folder));
    for (const each of announcing.snapshotOf(counter, files)) await this.#publish(each);
  }

  async #publish(changes: IndexChanges): Promise<void> {
    const { host, announcing } = this.#needs;
    await host.bus.publish(announcing.announcementOf(host.keys, changes), this.#closing.signal);
    this.#told = `told the directory of ${changes.files.length + changes.removed.length} changes last`;
  }
}

function sharedFile({ path, id, length, modifiedMs }: FileFacts): SharedFile[] {
  return isTold(path) ? [{ id, name: path, size: length, modifiedMs: Math.max(0, Math.trunc(modifiedMs)) }] : [];
}

function isTold(path: string): boolean {
  return Buffer.byteLength(path) <= mostNameBytes;
}

function countOf(index: ContentIndex): number {
  const row = index
    .sql(
      `SELECT (SELECT count(*) FROM files WHERE content IS NOT NULL AND length(CAST(folder || name AS BLOB)) + (folder <> '') <= :most) +
        (SELECT count(*) FROM folders WHERE content IS NOT NULL AND path <> '' AND length(CAST(path AS BLOB)) <= :most) AS count`,
    )
    .get({ most: mostNameBytes });
  return Number(row?.count);
}
