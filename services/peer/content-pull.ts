import { type SourceProgress, TransferPhase } from '../../proto/gen/warren/peer/v1/peer.ts';
import type { MemberHost } from '../bus/hosted.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { pause } from '../lib/pause.ts';
import type { Contents } from './contents.ts';
import { diskFailure } from './disk-failure.ts';
import { DownloadFile, type DownloadPlace } from './download-file.ts';
import type { Manifest } from './fetch-manifest.ts';
import { FilePull } from './file-pull.ts';
import { checkFolders } from './final-place.ts';
import type { Limits } from './limits.ts';
import { decodeListing, type ListingEntry } from './listing.ts';
import { type Contact, isNowhere, type Locate, type Locator } from './locator.ts';
import type { ContentId, ManifestHead } from './merkle.ts';
import { partCount } from './merkle.ts';
import { PullSources } from './pull-sources.ts';
import type { SharePath } from './share-path.ts';

/** What a pull ended with: a file of the share, or what is in a folder, which is to be pulled next. */
export type Obtained =
  | { readonly kind: 'file'; readonly path: SharePath }
  | { readonly kind: 'folder'; readonly entries: readonly ListingEntry[] };

export interface PullNeeds {
  readonly host: Pick<MemberHost, 'id' | 'dial' | 'clock' | 'now' | 'random' | 'warn'>;
  readonly place: DownloadPlace;
  readonly contents: Contents;
  readonly locator: Locator;
  readonly limits: Limits;
}

export interface PullRequest {
  readonly id: ContentId;
  readonly path: SharePath;
  readonly transferId: string;
  /** Who has it, as far as is known. */
  readonly from: readonly Contact[];
  readonly isPaused: boolean;
  /** Where to look for others; as the member is set, unless given. */
  readonly where?: Locate | undefined;
  /** Throws a Failure when that is not what was promised. */
  readonly check?: (head: ManifestHead) => void;
}

export interface PullView {
  readonly phase: TransferPhase;
  readonly kind: ManifestHead['kind'] | undefined;
  /** Bytes; 0 while not known. */
  readonly length: number;
  readonly verified: number;
  readonly sources: readonly SourceProgress[];
  readonly reason: string;
  readonly detail: string;
}

/** With sources that are there, others are looked for so often; without, soon. In milliseconds. */
const moreMs = 30_000;
const lookBounds = { firstMs: 1_000, mostMs: 15_000 };
const holdMs = 3_000;

/** Pulls one content: looks for who has it, gets its manifest and its pieces, and gives it its place. */
export class ContentPull {
  readonly id: ContentId;
  readonly done: Promise<Obtained>;
  readonly #needs: PullNeeds;
  readonly #request: PullRequest;
  readonly #over = new AbortController();
  readonly #failed = Promise.withResolvers<never>();
  readonly #sources: PullSources;
  #isPaused: boolean;
  #head: ManifestHead | undefined;
  #pull: FilePull<Obtained> | undefined;
  #held: Failure | undefined;
  #problem = '';
  #ending: 'kept' | 'dropped' | undefined;

  constructor(needs: PullNeeds, request: PullRequest) {
    this.id = request.id;
    this.#needs = needs;
    this.#request = request;
    this.#isPaused = request.isPaused;
    this.#failed.promise.catch(() => {});
    const { id, dial, random, warn } = needs.host;
    this.#sources = new PullSources({
      ...{ id: request.id, own: id, transferId: request.transferId, locator: needs.locator },
      ...{ dial, random, warn, signal: this.#over.signal },
    });
    this.done = this.#run().finally(() => this.#over.abort());
    this.done.catch(() => {});
  }

  add(contact: Contact): void {
    this.#sources.add(contact);
  }

  pause(): void {
    this.#isPaused = true;
    this.#pull?.pause();
    this.#noteState('paused');
  }

  resume(): void {
    this.#isPaused = false;
    this.#pull?.resume();
    this.#noteState('running');
  }

  #noteState(state: 'paused' | 'running'): void {
    this.#needs.place.unfinished.saveState(this.id, state);
  }

  /** Stops; what has come stays. */
  close(): Promise<void> {
    return this.#end('kept');
  }

  /** Stops, and drops what had come. */
  cancel(): Promise<void> {
    return this.#end('dropped');
  }

  async #end(how: 'kept' | 'dropped'): Promise<void> {
    this.#ending ??= how;
    const pull = this.#pull;
    if (pull !== undefined) await (how === 'kept' ? pull.close() : pull.cancel());
    this.#failed.reject(new Failure('PEER_CANCELLED', 'the download was cancelled'));
    await this.done.catch(() => {});
    if (pull === undefined && how === 'dropped') this.#needs.place.unfinished.end(this.id);
  }

  view(): PullView {
    const isThere = this.#sources.areThere;
    const held = this.#held ?? this.#pull?.held;
    const base = {
      ...{ kind: this.#head?.kind, length: this.#head?.length ?? 0, verified: this.#pull?.verified ?? 0 },
      ...{ sources: this.#sources.views(), reason: '', detail: '' },
    };
    if (this.#isPaused) return { ...base, phase: TransferPhase.TRANSFER_PHASE_PAUSED };
    if (held !== undefined)
      return {
        ...base,
        ...{ phase: TransferPhase.TRANSFER_PHASE_HELD, reason: reasonOf(held), detail: held.message },
      };
    if (this.#pull !== undefined && isThere) return { ...base, phase: TransferPhase.TRANSFER_PHASE_MOVING };
    const detail = base.sources.find(source => source.detail !== '')?.detail ?? this.#problem;
    return { ...base, phase: TransferPhase.TRANSFER_PHASE_LOCATING, detail };
  }

  async #run(): Promise<Obtained> {
    const { place, contents, limits, host } = this.#needs;
    const { id, path, from, check } = this.#request;
    await checkFolders(place.root, path);
    for (const contact of from) this.#sources.add(contact);
    void this.#locate(from.length > 0);
    let noted = place.unfinished.find(id);
    if (noted === undefined) {
      const manifest = this.#knownManifest() ?? (await Promise.race([this.#sources.manifest, this.#failed.promise]));
      check?.(manifest.head);
      noted = await this.#whenDiskLets(async () => {
        try {
          return place.unfinished.begin({ id, ...manifest, path, now: host.now() });
        } catch (error) {
          throw diskFailure(error, 'the index');
        }
      });
      if (this.#isPaused) this.#noteState('paused');
    } else check?.(noted.head);
    const { head } = noted;
    this.#head = head;
    const unfinished = noted;
    const download = await this.#whenDiskLets(() => DownloadFile.open(place, unfinished));
    const pull = new FilePull<Obtained>(
      {
        download,
        fetch: (source, run, signal) => this.#sources.fetch(source, run, signal),
        random: host.random,
        paceMs: bytes => limits.down.take(bytes, host.clock()),
        onBan: (source, piece) => this.#sources.ban(source, `it sent something else for piece ${piece}`),
      },
      async whole => {
        if (head.kind === 'file') return { kind: 'file', path: await whole.finish() };
        const entries = decodeListing(await whole.readAll());
        await whole.drop();
        return { kind: 'folder', entries };
      },
    );
    this.#pull = pull;
    const leave = contents.addPull(id, { download, pull });
    try {
      if (this.#ending !== undefined) await (this.#ending === 'kept' ? pull.close() : pull.cancel());
      if (this.#isPaused) pull.pause();
      this.#sources.attach(pull, head.length);
      return await Promise.race([pull.done, this.#failed.promise]);
    } catch (error) {
      if (this.#ending === undefined) {
        // Not to be tried again by itself.
        await pull.close();
        place.unfinished.end(id);
      }
      throw error;
    } finally {
      leave();
    }
  }

  #knownManifest(): Manifest | undefined {
    const { manifests } = this.#needs.place.index;
    const known = manifests.find(this.id);
    if (known === undefined) return undefined;
    const parts = Array.from({ length: partCount(known.head.length) }, (_, part) =>
      manifests.leaves(known.content, part),
    );
    return { head: known.head, leaves: Buffer.concat(parts) };
  }

  async #whenDiskLets<T>(act: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const result = await act();
        this.#held = undefined;
        return result;
      } catch (error) {
        if (!(error instanceof Failure) || !error.code.startsWith('PEER_DISK') || this.#over.signal.aborted)
          throw error;
        this.#held = error;
        await Promise.race([pause(holdMs, this.#over.signal), this.#failed.promise]);
      }
    }
  }

  async #locate(isLater: boolean): Promise<void> {
    const { locator } = this.#needs;
    const { signal } = this.#over;
    let waitMs = lookBounds.firstMs;
    let lookedAt = Number.NEGATIVE_INFINITY;
    if (isLater) await pause(waitMs, signal);
    while (!signal.aborted) {
      const isDue = performance.now() - lookedAt > moreMs;
      if (!this.#isPaused && (isDue || !this.#sources.areThere)) {
        lookedAt = performance.now();
        for (const { contact } of locator.known(this.id)) this.#sources.add(contact);
        try {
          for (const { contact } of await locator.locate(this.id, signal, this.#request.where))
            this.#sources.add(contact);
          this.#problem = '';
        } catch (error) {
          if (signal.aborted) return;
          this.#problem = messageOf(error);
          if (isNowhere(error) && this.#sources.count === 0 && this.#pull === undefined) this.#failed.reject(error);
        }
        if (this.#sources.areAllBanned)
          this.#failed.reject(
            new Failure('PEER_BANNED', 'whoever was said to have it sent something else: nobody else is known'),
          );
      }
      await pause(waitMs, signal);
      waitMs = Math.min(waitMs * 1.5, lookBounds.mostMs);
    }
  }
}

/** A stable word for people's programs: `DISK_FULL` of PEER_DISK_FULL. */
export function reasonOf({ code }: Failure): string {
  return code.replace(/^(?:PEER|DIRECTORY|RING)_/, '');
}
