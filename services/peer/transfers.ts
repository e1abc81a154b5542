import { TransferEvent, TransferState } from '../../proto/gen/warren/peer/v1/events.ts';
import { type Transfer, TransferDirection, TransferPhase } from '../../proto/gen/warren/peer/v1/peer.ts';
import type { MemberHost } from '../bus/hosted.ts';
import { Changes } from '../lib/changes.ts';
import { signAs } from '../lib/identity/keys.ts';
import { randomHex } from '../lib/random.ts';
import { AskedDownloads } from './asked.ts';
import type { FileFacts } from './content-index.ts';
import { Download, type DownloadNeeds, type DownloadRequest } from './download.ts';
import type { Contact } from './locator.ts';
import { type ContentId, hexOf } from './merkle.ts';
import { sha256 } from './sha256.ts';
import { isOver, type OwnTransfer } from './transfer.ts';
import { Upload } from './upload.ts';

const tickMs = 250;
/** How often a transfer's progress is told on the bus. */
const tellMs = 2_000;
const pastKept = 200;
const mostTold = 64;

type OwnNeeds = Omit<DownloadNeeds, 'onChange' | 'onSteered'>;

interface Kept {
  readonly transfer: OwnTransfer;
  toldAt: number;
}

/** All transfers of this member: those that run, and the last ones that are over. */
export class Transfers {
  readonly #host: MemberHost;
  readonly #needs: OwnNeeds;
  readonly #asked: AskedDownloads;
  readonly #running = new Map<string, Kept>();
  #past: Transfer[] = [];
  readonly #changes = new Changes();
  readonly #ticking: NodeJS.Timeout;

  constructor(host: MemberHost, needs: OwnNeeds) {
    this.#host = host;
    this.#needs = needs;
    this.#asked = new AskedDownloads(needs.place.index);
    this.#ticking = setInterval(() => this.#tick(), tickMs);
  }

  /**
   * Goes on with what was not over when the daemon ended: folders as they were asked for, and files that are of none of those.
   * @returns what it was, with what runs of it
   */
  resume(): { request: DownloadRequest; transfer: OwnTransfer }[] {
    const asked = this.#asked.list();
    const alone = this.#needs.place.unfinished
      .list()
      .filter(({ id, path }) => !asked.some(each => each.id === id || path.startsWith(`${each.path}/`)))
      .map(({ id, path, state, askedAt }) => ({
        ...{ id, path, from: [], transferId: this.#idOf(id, askedAt), isPaused: state === 'paused' },
      }));
    return [...asked, ...alone].map(request => ({ request, transfer: this.#download(request) }));
  }

  /** What runs of a content already is given back. */
  download(request: Omit<DownloadRequest, 'transferId' | 'isPaused'>): OwnTransfer {
    const running = this.ofContent(request.id);
    if (running !== undefined) return running;
    return this.#download({ ...request, transferId: randomHex(32) });
  }

  #download(request: DownloadRequest): OwnTransfer {
    this.#asked.begin(request);
    const download = new Download(
      {
        ...{ ...this.#needs, onChange: () => this.#changes.happened() },
        onSteered: isPaused => this.#asked.savePaused(request.id, isPaused),
      },
      request,
    );
    void download.done.then(({ detail }) => {
      if (detail !== 'interrupted') this.#asked.end(request.id);
    });
    return this.#keep(download);
  }

  upload(facts: FileFacts, to: Contact): OwnTransfer {
    const needs = { host: this.#host, onChange: () => this.#changes.happened() };
    return this.#keep(new Upload(needs, { facts, to, transferId: randomHex(32) }));
  }

  /** The download of a content that runs. */
  ofContent(id: ContentId): Download | undefined {
    for (const { transfer } of this.#running.values())
      if (transfer instanceof Download && transfer.contentId === id) return transfer;
    return undefined;
  }

  find(id: string): OwnTransfer | undefined {
    return this.#running.get(id)?.transfer;
  }

  past(id: string): Transfer | undefined {
    return this.#past.find(({ transferId }) => transferId === id);
  }

  list(withPast: boolean): Transfer[] {
    const running = [...this.#running.values()].map(({ transfer }) => transfer.view());
    return withPast ? [...running, ...this.#past.toReversed()] : running;
  }

  /** Those that run, then each that has changed, and its end. */
  async *watch(signal: AbortSignal): AsyncGenerator<Transfer> {
    const seen = new Map<string, string>();
    let isFirst = true;
    for await (const all of this.#changes.watch(() => this.list(true), tickMs, signal)) {
      for (const view of all) {
        if (isFirst && isOver(view)) {
          seen.set(view.transferId, 'over');
          continue;
        }
        const text = isOver(view) ? 'over' : JSON.stringify(view);
        if (seen.get(view.transferId) === text) continue;
        seen.set(view.transferId, text);
        yield view;
      }
      isFirst = false;
    }
  }

  /** One, until it is over. */
  async *follow(transfer: OwnTransfer, signal: AbortSignal): AsyncGenerator<Transfer> {
    let last = '';
    for await (const view of this.#changes.watch(() => transfer.view(), tickMs, signal)) {
      const text = JSON.stringify(view);
      if (text !== last) yield view;
      last = text;
      if (isOver(view)) return;
    }
  }

  happened(): void {
    this.#changes.happened();
  }

  #keep(transfer: OwnTransfer): OwnTransfer {
    const kept = { transfer, toldAt: this.#host.clock() };
    this.#running.set(transfer.id, kept);
    this.#tell(transfer.view(), TransferState.TRANSFER_STATE_STARTED);
    void transfer.done.then(view => {
      this.#running.delete(transfer.id);
      this.#past = [...this.#past, view].slice(-pastKept);
      this.#changes.happened();
      if (view.state === TransferPhase.TRANSFER_PHASE_DONE) this.#tell(view, TransferState.TRANSFER_STATE_DONE);
      else if (view.detail !== 'interrupted') this.#tell(view, TransferState.TRANSFER_STATE_FAILED);
    });
    this.#changes.happened();
    return transfer;
  }

  #tick(): void {
    if (this.#running.size === 0) return;
    const now = this.#host.clock();
    for (const kept of this.#running.values()) {
      kept.transfer.measure(now);
      if (now - kept.toldAt < tellMs) continue;
      kept.toldAt = now;
      this.#tell(kept.transfer.view(), TransferState.TRANSFER_STATE_PROGRESS);
    }
    this.#changes.happened();
  }

  /** The receiver tells how it goes. */
  #tell(view: Transfer, state: TransferState): void {
    if (view.direction !== TransferDirection.TRANSFER_DIRECTION_DOWN) return;
    const sources = view.sources
      .filter(({ bytes }) => bytes > 0)
      .slice(0, mostTold)
      .map(({ memberId, isRelayed, bytes }) => ({ memberId, relayed: isRelayed, bytes }));
    const event: TransferEvent = {
      ...{ transferId: view.transferId, memberId: this.#host.id, fileId: view.fileId, name: view.path, state },
      ...{ bytes: view.verified, totalBytes: view.length, sources, reason: view.detail },
    };
    const body = TransferEvent.encode(event).finish();
    this.#host.bus.send({ type: 'warren.peer.v1.TransferEvent', key: this.#host.id, body });
  }

  /** The same again after a restart, and nobody else can know it. */
  #idOf(id: ContentId, askedAt: number): string {
    const signed = signAs(this.#host.keys, 'warren.peer.v1.Transfer', Buffer.from(`${id} ${askedAt}`));
    return hexOf(sha256(signed)).slice(0, 32);
  }

  async close(): Promise<void> {
    clearInterval(this.#ticking);
    await Promise.all([...this.#running.values()].map(({ transfer }) => transfer.close()));
  }
}
