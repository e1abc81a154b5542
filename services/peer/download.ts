import {
  type SourceProgress,
  SourceState,
  type Transfer,
  TransferDirection,
  TransferPhase,
} from '../../proto/gen/warren/peer/v1/peer.ts';
import { Changes } from '../lib/changes.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { type ContentPull, type PullNeeds, reasonOf } from './content-pull.ts';
import { dropUnfinished } from './download-file.ts';
import { DownloadTasks, type NamedTask, type Task, tasksIn } from './download-tasks.ts';
import { makeFolders } from './final-place.ts';
import { decodeListing, type ListingEntry } from './listing.ts';
import type { Contact, Locate } from './locator.ts';
import type { ContentId } from './merkle.ts';
import type { Pulls } from './pulls.ts';
import { RateMeter } from './rate-meter.ts';
import { joinPath, type Platform, type SharePath } from './share-path.ts';
import { SmallPulls } from './small-pulls.ts';
import { kindOf } from './swarm-service.ts';
import type { OwnTransfer } from './transfer.ts';

export interface DownloadNeeds extends PullNeeds {
  readonly pulls: Pulls;
  readonly platform: Platform;
  /** Something is to be seen. */
  readonly onChange: () => void;
  /** Its owner has paused it, or let it go on. */
  readonly onSteered: (isPaused: boolean) => void;
}

export interface DownloadRequest {
  readonly id: ContentId;
  readonly path: SharePath;
  readonly transferId: string;
  readonly from: readonly Contact[];
  /** As of `PullRequest`; not remembered when the daemon ends. */
  readonly where?: Locate | undefined;
  readonly isPaused?: boolean;
  /** Bytes that were promised: a content that has more is not taken. */
  readonly mostBytes?: number;
}

/** Files of one folder on their way at a time. */
const filesAtOnce = 8;
/** Files and folders of one download, and of one that was offered: those without bytes cost room and time too. */
const mostEntries = { asked: 1_000_000, offered: 10_000 };

/** A file that is pulled into the share, or a folder with all that is in it. */
export class Download implements OwnTransfer {
  readonly id: string;
  readonly done: Promise<Transfer>;
  readonly #needs: DownloadNeeds;
  readonly #request: DownloadRequest;
  readonly #over = new AbortController();
  readonly #pulls = new Set<ContentPull>();
  readonly #steered = new Changes();
  readonly #meter = new RateMeter();
  /** What came from pulls that are over, by source. */
  readonly #gave = new Map<string, SourceProgress>();
  readonly #small: SmallPulls;
  readonly #tasks: DownloadTasks;
  #pausing = new AbortController();
  #isPaused: boolean;
  #entries = 0;
  #kind: 'file' | 'folder' | undefined;
  #length = 0;
  #finished = 0;
  #path: SharePath;
  #held: Failure | undefined;
  #end: { state: TransferPhase; reason: string; detail: string } | undefined;
  #isKept = false;

  constructor(needs: DownloadNeeds, request: DownloadRequest) {
    this.#needs = needs;
    this.#request = request;
    this.id = request.transferId;
    this.#path = request.path;
    this.#isPaused = request.isPaused === true;
    this.#small = new SmallPulls(needs, request);
    const { pulls, place } = needs;
    this.#tasks = new DownloadTasks(
      { id: request.id, path: request.path, entry: undefined },
      id => pulls.find(id) !== undefined || place.index.manifests.find(id) !== undefined,
    );
    this.done = this.#run();
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get contentId(): ContentId {
    return this.#request.id;
  }

  pause(): void {
    if (this.#end !== undefined) return;
    this.#isPaused = true;
    this.#pausing.abort();
    for (const pull of this.#pulls) pull.pause();
    this.#needs.onSteered(true);
    this.#needs.onChange();
  }

  resume(): void {
    if (this.#end !== undefined) return;
    this.#isPaused = false;
    this.#pausing = new AbortController();
    for (const pull of this.#pulls) pull.resume();
    this.#needs.onSteered(false);
    this.#steered.happened();
    this.#needs.onChange();
  }

  async cancel(): Promise<void> {
    this.#over.abort();
    await Promise.all([...this.#pulls].map(pull => pull.cancel()));
    await this.done;
    // Files of a folder that had begun before a restart, and not again since.
    const { pulls, place } = this.#needs;
    for (const { id, path } of place.unfinished.list())
      if (path.startsWith(`${this.#request.path}/`) && pulls.find(id) === undefined) await dropUnfinished(place, id);
  }

  async close(): Promise<void> {
    this.#isKept = true;
    this.#over.abort();
    await Promise.all([...this.#pulls].map(pull => pull.close()));
    await this.done;
  }

  measure(now: number): void {
    this.#meter.take(this.#verified, now);
  }

  get #verified(): number {
    let verified = this.#finished;
    for (const pull of this.#pulls) {
      const view = pull.view();
      if (this.#kind !== 'folder' || view.kind === 'file') verified += view.verified;
    }
    return verified;
  }

  view(): Transfer {
    const views = [...this.#pulls].map(pull => pull.view());
    const [first] = views;
    const length = this.#kind === undefined && first?.kind === 'file' ? first.length : this.#length;
    const verified = this.#verified;
    const rate = this.#end === undefined ? this.#meter.now : 0;
    const known = this.#kind ?? first?.kind;
    const state = this.#end ?? this.#stateOf(views);
    return {
      ...{ transferId: this.id, direction: TransferDirection.TRANSFER_DIRECTION_DOWN, fileId: this.#request.id },
      ...{ path: this.#path, kind: known === undefined ? 0 : kindOf(known), length, verified, rate },
      leftMs: rate > 0 && length > verified ? Math.round(((length - verified) * 1_000) / rate) : 0,
      sources: [...this.#sources(views)],
      ...state,
    };
  }

  #stateOf(views: readonly ReturnType<ContentPull['view']>[]): {
    state: TransferPhase;
    reason: string;
    detail: string;
  } {
    if (this.#isPaused) return { state: TransferPhase.TRANSFER_PHASE_PAUSED, reason: '', detail: '' };
    const held = views.find(({ phase }) => phase === TransferPhase.TRANSFER_PHASE_HELD);
    if (held !== undefined) return { state: held.phase, reason: held.reason, detail: held.detail };
    if (this.#held !== undefined)
      return {
        ...{ state: TransferPhase.TRANSFER_PHASE_HELD, reason: reasonOf(this.#held), detail: this.#held.message },
      };
    const moving = views.find(({ phase }) => phase === TransferPhase.TRANSFER_PHASE_MOVING);
    if (moving !== undefined || views.length === 0)
      return { state: TransferPhase.TRANSFER_PHASE_MOVING, reason: '', detail: '' };
    return { state: TransferPhase.TRANSFER_PHASE_LOCATING, reason: '', detail: views[0]?.detail ?? '' };
  }

  *#sources(views: readonly ReturnType<ContentPull['view']>[]): Generator<SourceProgress> {
    const sums = new Map(this.#gave);
    for (const { sources } of views) for (const source of sources) addSource(sums, source);
    yield* sums.values();
  }

  async #run(): Promise<Transfer> {
    try {
      await this.#work();
      this.#end = { state: TransferPhase.TRANSFER_PHASE_DONE, reason: '', detail: '' };
    } catch (error) {
      const isCancelled = this.#over.signal.aborted;
      // A file of it was cancelled, or cannot come: the others stay as they are.
      if (!isCancelled) {
        this.#over.abort();
        await Promise.all([...this.#pulls].map(pull => pull.close()));
      }
      if (!isCancelled && !(error instanceof Failure)) this.#needs.host.warn(`a download broke: ${messageOf(error)}`);
      this.#end = isCancelled
        ? { state: TransferPhase.TRANSFER_PHASE_CANCELLED, reason: '', detail: this.#isKept ? 'interrupted' : '' }
        : {
            state: TransferPhase.TRANSFER_PHASE_FAILED,
            reason: error instanceof Failure ? reasonOf(error) : 'INTERNAL',
            detail: messageOf(error),
          };
    }
    this.#needs.onChange();
    return this.view();
  }

  /** Several files at a time. */
  async #work(): Promise<void> {
    const running = new Set<Promise<void>>();
    let failure: { error: unknown } | undefined;
    while (failure === undefined && (!this.#tasks.isEmpty || running.size > 0)) {
      this.#over.signal.throwIfAborted();
      while (running.size < filesAtOnce && !(this.#isPaused && this.#kind === 'folder')) {
        const next = this.#tasks.next();
        if (next === undefined) break;
        const act = ('one' in next ? this.#obtain(next.one) : this.#obtainSmall(next.batch))
          .catch(error => {
            failure ??= { error };
          })
          .finally(() => running.delete(act));
        running.add(act);
      }
      if (running.size > 0) await Promise.race(running);
      else await this.#whenSteered();
    }
    if (failure !== undefined) throw failure.error;
    this.#over.signal.throwIfAborted();
  }

  async #whenSteered(): Promise<void> {
    for await (const isPaused of this.#steered.watch(() => this.#isPaused, 0, this.#over.signal)) if (!isPaused) return;
  }

  async #obtainSmall(batch: readonly NamedTask[]): Promise<void> {
    const left = new Set(batch);
    const pausing = this.#pausing.signal;
    const signal = AbortSignal.any([this.#over.signal, pausing]);
    try {
      for await (const { arrived, from, isRelayed } of this.#small.obtain(batch, signal)) {
        let bytes = 0;
        for (const { wanted, bytes: content } of arrived) {
          left.delete(wanted);
          bytes += content.length;
          const { entry, path } = wanted;
          if (entry.kind === 'folder') await this.#unfold(path, decodeListing(content), entry);
          else if (entry.size === content.length) this.#finished += content.length;
          else throw new Failure('PEER_LISTING', `the folder says something else of ${path} than its content`);
        }
        const { memberId, name } = from;
        const state = SourceState.SOURCE_STATE_IDLE;
        addSource(this.#gave, { memberId, name, isRelayed, bytes, rate: 0, detail: '', state });
        this.#needs.onChange();
      }
    } finally {
      this.#tasks.ended(left, pausing.aborted);
    }
  }

  async #obtain({ id, path, entry }: Task): Promise<void> {
    const { pulls, place } = this.#needs;
    const { from, where, transferId, mostBytes } = this.#request;
    let mine: ContentPull | undefined;
    const wasPaused = this.#isPaused;
    const obtained = await pulls
      .obtain(
        {
          ...{ id, path, transferId, isPaused: wasPaused },
          ...{ from, where },
          check: head => {
            if (
              entry !== undefined &&
              (entry.kind !== head.kind || (head.kind === 'file' && entry.size !== head.length))
            )
              throw new Failure('PEER_LISTING', `the folder says something else of ${path} than its content`);
            if (head.kind === 'file' && head.length > (mostBytes ?? Number.POSITIVE_INFINITY))
              throw new Failure('PEER_OFFER', `${path} has more bytes than were offered`);
          },
        },
        {
          pulls: pull => {
            mine = pull;
            this.#pulls.add(pull);
            // While it was looked whether it is here, its owner may have paused it, or let it go on.
            if (this.#isPaused !== wasPaused) pull[this.#isPaused ? 'pause' : 'resume']();
            this.#needs.onChange();
          },
          held: failure => {
            this.#held = failure;
          },
        },
        this.#over.signal,
      )
      .finally(() => {
        if (mine === undefined) return;
        this.#pulls.delete(mine);
        for (const source of mine.view().sources) addSource(this.#gave, { ...source, rate: 0 });
      });
    const size = entry?.size ?? place.index.manifests.find(id)?.head.length ?? 0;
    if (obtained.kind === 'file') {
      this.#finished += size;
      if (entry === undefined) {
        this.#kind = 'file';
        this.#length = size;
        this.#path = obtained.path;
      }
    } else await this.#unfold(path, obtained.entries, entry);
    this.#needs.onChange();
  }

  async #unfold(path: SharePath, entries: readonly ListingEntry[], own: ListingEntry | undefined): Promise<void> {
    const { platform, place } = this.#needs;
    const size = entries.reduce((sum, each) => sum + each.size, 0);
    if (own === undefined) {
      this.#kind = 'folder';
      this.#length = size;
      if (size > (this.#request.mostBytes ?? Number.POSITIVE_INFINITY))
        throw new Failure('PEER_OFFER', `${path} has more bytes than were offered`);
    } else if (own.size !== size)
      throw new Failure('PEER_LISTING', `the folder above says something else of ${path} than its listing`);
    this.#entries += entries.length;
    if (this.#entries > (this.#request.mostBytes === undefined ? mostEntries.asked : mostEntries.offered))
      throw new Failure('PEER_OFFER', `there are too many files and folders in ${this.#request.path}`);
    const tasks = tasksIn(path, entries, platform);
    await makeFolders(place.root, joinPath(path, 'x'));
    this.#tasks.add(tasks);
  }
}

/** What one source has brought, and brings, in all. */
function addSource(sums: Map<string, SourceProgress>, source: SourceProgress): void {
  const before = sums.get(source.memberId);
  const [bytes, rate] = [source.bytes + (before?.bytes ?? 0), source.rate + (before?.rate ?? 0)];
  sums.set(source.memberId, { ...source, bytes, rate });
}
