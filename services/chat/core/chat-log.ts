import { type ChatState, createChatState, type Snapshot, snapshotOf, stateOf } from './chat-state.ts';
import type { Logged } from './entry.ts';
import { applyEntry, type IsAuthentic, type LogRule, logRule, type Meaning } from './rule.ts';

/** What reading on has brought: an entry with its meaning, or the news that some are gone. */
export type Read =
  | { readonly kind: 'entry'; readonly logged: Logged; readonly meaning: Meaning }
  /** Retention has cut what was not read yet; the state is that of a checkpoint. Entries from `fromSeq` to `toSeq` will not be seen; none: `toSeq` is less. */
  | { readonly kind: 'cut'; readonly fromSeq: number; readonly toSeq: number };

export interface ChatLogPorts {
  readonly isAuthentic: IsAuthentic;
}

export interface ChatLogOptions {
  /** To go on from; else from the beginning. */
  readonly from?: Snapshot;
  readonly rule?: LogRule;
  /** Octets held while it looks for a checkpoint. */
  readonly maxHeld?: number;
}

/** RabbitMQ gives an offset to what it writes into a stream for itself: one at a time is skipped, where nothing has been cut. */
const mostSkipped = 4;

/**
 * A reader of the log. It takes what the stream delivers, in the stream's order, and gives each entry once, in order, with what it means.
 *
 * - *following*: the state is that of all entries up to `offset`. What was delivered before is passed over.
 * - *lost*: the next entry delivered is not the one after `offset` (nor one directly behind it, after a few offsets that are nobody's), for the log has been cut. Entries are held until a checkpoint among them, or a snapshot from
 *   elsewhere (`adopt`), has an offset from which they go on; then it follows.
 */
export class ChatLog {
  #state: ChatState;
  /** While lost: without a gap, from the first on that is there. */
  #held: Logged[] | undefined;
  #heldSize = 0;
  readonly #isAuthentic: IsAuthentic;
  readonly #rule: LogRule;
  readonly #maxHeld: number;

  constructor(
    { isAuthentic }: ChatLogPorts,
    { from, rule = logRule, maxHeld = 64 * 1024 * 1024 }: ChatLogOptions = {},
  ) {
    this.#state = from === undefined ? createChatState() : stateOf(from);
    this.#isAuthentic = isAuthentic;
    this.#rule = rule;
    this.#maxHeld = maxHeld;
  }

  /** To look at. Another object once it was lost. */
  get state(): Readonly<ChatState> {
    return this.#state;
  }

  get isLost(): boolean {
    return this.#held !== undefined;
  }

  /** Where to read on, after the connection to the stream was lost: from the one before it, so that it shows whether it is still there. */
  get nextOffset(): number {
    const last = this.#held?.at(-1);
    return (last?.offset ?? this.#state.offset) + 1;
  }

  snapshot(): Snapshot {
    return snapshotOf(this.#state);
  }

  /** @returns what was read by it: nothing of what had been delivered before, and nothing while it is lost */
  read(logged: Logged): Read[] {
    if (logged.offset < this.nextOffset) return [];
    const last = this.nextOffset - 1;
    const isNext = logged.offset === last + 1;
    // Retention cuts more than a few.
    const isKnown = last === -1 || logged.after === last;
    const isBehind = isNext || (isKnown && logged.offset - last <= mostSkipped);
    if (this.#held === undefined) {
      if (isNext || (isBehind && !this.#showsLoss(logged))) return [this.#apply(logged)];
      this.#held = [];
    } else if (!isBehind) {
      // Cut once more before it found its way.
      this.#held = [];
      this.#heldSize = 0;
    }
    this.#hold(logged);
    const { entry, from } = logged;
    // A server writes one while it owns the epoch, or believes so.
    if (entry?.kind !== 'checkpoint' || entry.snapshot.owner !== from || entry.snapshot.epoch !== entry.epoch)
      return [];
    return this.adopt(entry.snapshot);
  }

  /** Takes a state from elsewhere, if it is lost and can go on from there. */
  adopt(snapshot: Snapshot): Read[] {
    const held = this.#held;
    const first = held?.[0];
    if (held === undefined || first === undefined) return [];
    const { offset, epoch, seq } = this.#state;
    if (snapshot.offset < first.offset - 1 || snapshot.offset > this.nextOffset - 1) return [];
    if (snapshot.offset < offset || snapshot.epoch < epoch || snapshot.seq < seq) return [];
    this.#state = stateOf(snapshot);
    this.#held = undefined;
    this.#heldSize = 0;
    const reads: Read[] = [{ kind: 'cut', fromSeq: seq + 1, toSeq: snapshot.seq }];
    for (const logged of held) if (logged.offset > snapshot.offset) reads.push(this.#apply(logged));
    return reads;
  }

  /**
   * Whether there must have been something in between: a reader that retention overtakes is not told. Where only offsets were skipped, the
   * owner's next entry has the next number. What others write proves nothing.
   */
  #showsLoss({ entry, from }: Logged): boolean {
    const { epoch, owner, seq } = this.#state;
    if (entry === undefined || entry.kind === 'epoch' || from !== owner) return false;
    return entry.epoch === epoch && entry.seq > seq + 1;
  }

  #apply(logged: Logged): Read {
    return { kind: 'entry', logged, meaning: applyEntry(this.#state, logged, this.#isAuthentic, this.#rule) };
  }

  #hold(logged: Logged): void {
    const held = this.#held ?? [];
    held.push(logged);
    this.#heldSize += logged.size;
    while (this.#heldSize > this.#maxHeld && held.length > 1) this.#heldSize -= held.shift()?.size ?? 0;
  }
}
