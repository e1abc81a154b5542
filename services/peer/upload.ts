import {
  OfferVerdict,
  SourceState,
  type Transfer,
  TransferDirection,
  TransferPhase,
} from '../../proto/gen/warren/peer/v1/peer.ts';
import type { MemberHost, MemberLink } from '../bus/hosted.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { pause } from '../lib/pause.ts';
import type { FileFacts } from './content-index.ts';
import { reasonOf } from './content-pull.ts';
import type { Contact } from './locator.ts';
import { pieceBytes, pieceCount } from './merkle.ts';
import { SwarmService } from './piece-frame.ts';
import { PieceMap } from './piece-map.ts';
import { RateMeter } from './rate-meter.ts';
import { splitPath } from './share-path.ts';
import { kindOf } from './swarm-service.ts';
import type { OwnTransfer } from './transfer.ts';

/** How often who takes it is asked whether it has it, in milliseconds. */
const askMs = 500;
/** Without a way to it for so long, it has failed. */
const patienceMs = 60_000;

/** A file or folder of ours that another member is to take: it pulls, and is asked how far it is. */
export class Upload implements OwnTransfer {
  readonly id: string;
  readonly done: Promise<Transfer>;
  readonly #host: Pick<MemberHost, 'dial' | 'clock'>;
  readonly #facts: FileFacts;
  readonly #to: Contact;
  readonly #onChange: () => void;
  readonly #over = new AbortController();
  readonly #meter = new RateMeter();
  #link: MemberLink | undefined;
  #verified = 0;
  #detail = '';
  #end: { state: TransferPhase; reason: string; detail: string } | undefined;

  constructor(
    { host, onChange }: { host: Pick<MemberHost, 'dial' | 'clock'>; onChange: () => void },
    { facts, to, transferId }: { facts: FileFacts; to: Contact; transferId: string },
  ) {
    this.#host = host;
    this.#onChange = onChange;
    this.#facts = facts;
    this.#to = to;
    this.id = transferId;
    this.done = this.#run();
  }

  pause(): void {}

  resume(): void {}

  async cancel(): Promise<void> {
    this.#over.abort();
    await this.done;
  }

  close(): Promise<void> {
    return this.cancel();
  }

  measure(now: number): void {
    this.#meter.take(this.#verified, now);
  }

  view(): Transfer {
    const { id, path, kind, length } = this.#facts;
    const rate = this.#end === undefined ? this.#meter.now : 0;
    const isMoving = this.#link !== undefined && this.#detail === '';
    return {
      ...{ transferId: this.id, direction: TransferDirection.TRANSFER_DIRECTION_UP, fileId: id, path },
      ...{ kind: kindOf(kind), length, verified: this.#verified, rate },
      leftMs: rate > 0 ? Math.round(((length - this.#verified) * 1_000) / rate) : 0,
      sources: [
        {
          ...{ memberId: this.#to.memberId, name: this.#to.name, isRelayed: this.#link?.way === 'broker' },
          ...{ bytes: this.#verified, rate, detail: this.#detail },
          state: isMoving ? SourceState.SOURCE_STATE_MOVING : SourceState.SOURCE_STATE_CONNECTING,
        },
      ],
      ...(this.#end ?? {
        state: isMoving ? TransferPhase.TRANSFER_PHASE_MOVING : TransferPhase.TRANSFER_PHASE_LOCATING,
        ...{ reason: '', detail: this.#detail },
      }),
    };
  }

  async #run(): Promise<Transfer> {
    try {
      await this.#work();
      this.#verified = this.#facts.length;
      this.#end = { state: TransferPhase.TRANSFER_PHASE_DONE, reason: '', detail: '' };
    } catch (error) {
      const isCancelled = this.#over.signal.aborted;
      this.#end = {
        state: isCancelled ? TransferPhase.TRANSFER_PHASE_CANCELLED : TransferPhase.TRANSFER_PHASE_FAILED,
        reason: isCancelled ? '' : error instanceof Failure ? reasonOf(error) : 'INTERNAL',
        detail: isCancelled ? '' : messageOf(error),
      };
    } finally {
      this.#over.abort();
    }
    this.#onChange();
    return this.view();
  }

  async #work(): Promise<void> {
    const { id, path, kind, length } = this.#facts;
    const { signal } = this.#over;
    const offer = { fileId: id, name: splitPath(path).name, kind: kindOf(kind), length };
    let heardAt = this.#host.clock();
    let isWatching = false;
    for (;;) {
      signal.throwIfAborted();
      try {
        const link = await this.#host.dial(this.#to.memberId, this.#to.addresses);
        this.#link = link;
        const { verdict, reason, detail } = await link.client(SwarmService).offer(offer, { signal });
        heardAt = this.#host.clock();
        this.#detail = '';
        if (verdict === OfferVerdict.OFFER_VERDICT_HELD) return;
        if (verdict === OfferVerdict.OFFER_VERDICT_REFUSED)
          throw new OfferRefused(`PEER_${reason || 'REFUSED'}`, detail || 'the other one does not take it');
        if (!isWatching && kind === 'file') {
          isWatching = true;
          void this.#watch(link).finally(() => {
            isWatching = false;
          });
        }
      } catch (error) {
        if (error instanceof OfferRefused || signal.aborted) throw error;
        this.#detail = messageOf(error);
        if (this.#host.clock() - heardAt > patienceMs) throw error;
      }
      await pause(askMs, signal);
    }
  }

  /** How far it is, for people only. */
  async #watch(link: MemberLink): Promise<void> {
    const { id, length } = this.#facts;
    const map = new PieceMap(pieceCount(length));
    try {
      const answers = link
        .client(SwarmService)
        .watchPieceMap({ fileId: id, isPulling: false }, { signal: this.#over.signal });
      for await (const { holding } of answers) {
        if (holding === undefined || holding.isComplete) return;
        const said = holding.map.length > 0 ? PieceMap.decode(map.pieces, holding.map).runs() : holding.added;
        for (const run of said) map.addRun(run);
        this.#verified = Math.min(length, map.count * pieceBytes);
        await pause(100, this.#over.signal);
      }
    } catch {
      // It has not begun yet, or the way broke: asked again with the next answer.
    }
  }
}

class OfferRefused extends Failure {}
