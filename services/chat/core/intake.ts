import type { MemberId } from '../../lib/identity/member-id.ts';
import { maxSenders, sessionWindow } from './bounds.ts';
import type { ChatState } from './chat-state.ts';
import type { Entry, Input } from './entry.ts';
import type { RateLimit } from './rate.ts';
import { type IsAuthentic, placeOf } from './rule.ts';
import type { Content } from './server-events.ts';

export interface Delivered {
  readonly tag: number;
  readonly from: MemberId | undefined;
  readonly content: Content;
}

/** What an active server does with what is delivered, apart so that it can be seen what comes of other answers. */
export interface IntakeSteps {
  /** Whether an input is appended while others that come before it are missing. */
  readonly appendsAhead: boolean;
  /** Whether an input is acked before its entry is seen to count. */
  readonly acksEarly: boolean;
}

export const intakeSteps: IntakeSteps = { appendsAhead: false, acksEarly: false };

export interface IntakePorts {
  readonly state: () => Readonly<ChatState>;
  readonly isAuthentic: IsAuthentic;
  readonly rate: RateLimit;
  readonly append: (entry: Entry) => void;
  readonly ack: (tag: number) => void;
  readonly say: (line: string) => void;
}

interface Pending {
  readonly seq: number;
  readonly sender: MemberId | undefined;
  readonly tags: number[];
}

interface Known {
  session: number;
  next: number;
}

/**
 * The deliveries of one channel, and what has become of them, in one epoch. Each is *waiting* (not looked at), *held* (a higher counter than its sender's next
 * one), *pending* (its entry is appended and not seen yet) or acked.
 */
export class Intake {
  readonly #ports: IntakePorts;
  readonly #steps: IntakeSteps;
  #waiting: Delivered[] = [];
  /** Of those waiting: before it they are not any more. */
  #taken = 0;
  readonly #pending: Pending[] = [];
  readonly #held = new Map<MemberId, Map<string, { readonly input: Input; readonly tag: number }>>();
  #heldCount = 0;
  /** Of senders with entries in this epoch: how far they are once those pending count. */
  readonly #known = new Map<MemberId, Known>();
  readonly #lastPending = new Map<MemberId, Pending>();
  #epoch = 0;

  constructor(ports: IntakePorts, steps: IntakeSteps = intakeSteps) {
    this.#ports = ports;
    this.#steps = steps;
  }

  get pending(): number {
    return this.#pending.length;
  }

  /** Deliveries that are not acked. */
  get unacked(): number {
    return (
      this.#waiting.length -
      this.#taken +
      this.#heldCount +
      this.#pending.reduce((sum, { tags }) => sum + tags.length, 0)
    );
  }

  get held(): number {
    return this.#heldCount;
  }

  deliver(delivered: Delivered): void {
    this.#waiting.push(delivered);
  }

  /** Its epoch counts. */
  begin(epoch: number): void {
    this.#epoch = epoch;
  }

  /** Looks at the next one that waits. @returns whether there was one */
  takeNext(now: number): boolean {
    const next = this.#waiting[this.#taken++];
    if (next === undefined) {
      this.#waiting = [];
      this.#taken = 0;
      return false;
    }
    this.#take(next.tag, next.from, next.content, now);
    return true;
  }

  /** Appends an entry of the server's own. */
  append(entry: (epoch: number, seq: number) => Entry): void {
    this.#append(entry, undefined, []);
  }

  /** An entry of its own, not an EPOCH, was seen to count. */
  seen(seq: number): void {
    while (this.#pending[0] !== undefined && this.#pending[0].seq <= seq) {
      const pending = this.#pending.shift();
      if (pending === undefined) return;
      if (pending.sender !== undefined && this.#lastPending.get(pending.sender) === pending)
        this.#lastPending.delete(pending.sender);
      for (const tag of pending.tags) this.#ports.ack(tag);
    }
  }

  /** Acks what is held, which its senders say again: for when nothing else can come. */
  dropHeld(): void {
    for (const held of this.#held.values()) for (const { tag } of held.values()) this.#ports.ack(tag);
    this.#held.clear();
    this.#heldCount = 0;
  }

  #take(tag: number, from: MemberId | undefined, content: Content, now: number): void {
    if (content === 'nudge') return this.#ports.ack(tag);
    if (content === 'unreadable') return this.#drop(tag, `an input from ${from ?? 'nobody'} cannot be read`);
    // Nobody else may bring it: an outbox sends its own again.
    if (from !== content.sender || !this.#ports.isAuthentic(content))
      return this.#drop(tag, `an input from ${from ?? 'nobody'} is not signed by whom it names`);
    this.#place(tag, content, now);
  }

  #place(tag: number, input: Input, now: number): void {
    const { sender, session, counter, operation } = input;
    const inLog = this.#ports.state().senders.get(sender);
    const known = this.#known.get(sender) ?? inLog;
    const place = placeOf(known, input);
    if (place === 'over' || place === 'repeat') {
      const inLogPlace = placeOf(inLog, input);
      const pending = this.#lastPending.get(sender);
      // What makes it so may not count yet.
      if (inLogPlace === 'over' || inLogPlace === 'repeat' || pending === undefined) this.#ports.ack(tag);
      else pending.tags.push(tag);
      return;
    }
    if (place === 'ahead' && !this.#steps.appendsAhead) return this.#hold(tag, input, known);
    if ((counter === 1) !== (operation.kind === 'begin'))
      return this.#drop(tag, `an input from ${sender} does not begin its session as it should`);
    if (known === undefined && this.#senders() >= maxSenders)
      return this.#drop(tag, `${sender} is not heard: the chat has its ${maxSenders} members`);
    const isSlow = this.#ports.rate.take(sender, now);
    // It cannot be refused, for then the session would have no beginning; the client says it again later.
    if (!isSlow && counter === 1) return this.#drop(tag, `${sender} begins too many sessions`);
    const reason = isSlow ? (operation.kind === 'oversized' ? 'size' : undefined) : 'rate';
    this.#known.set(sender, { session, next: counter + 1 });
    this.#append(
      (epoch, seq) =>
        reason === undefined
          ? { kind: 'input', epoch, seq, input }
          : { kind: 'refused', epoch, seq, reason, sender, session, counter },
      sender,
      [tag],
    );
    this.#release(sender, now);
  }

  /** With those whose first entry does not count yet. */
  #senders(): number {
    const { senders } = this.#ports.state();
    if (senders.size + this.#known.size < maxSenders) return senders.size;
    return senders.size + [...this.#known.keys()].filter(sender => !senders.has(sender)).length;
  }

  #append(entry: (epoch: number, seq: number) => Entry, sender: MemberId | undefined, tags: number[]): void {
    const seq = (this.#pending.at(-1)?.seq ?? this.#ports.state().seq) + 1;
    if (this.#steps.acksEarly) for (const tag of tags.splice(0)) this.#ports.ack(tag);
    const pending = { seq, sender, tags };
    this.#pending.push(pending);
    if (sender !== undefined) this.#lastPending.set(sender, pending);
    this.#ports.append(entry(this.#epoch, seq));
  }

  #hold(tag: number, input: Input, known: Known | undefined): void {
    const { sender, session, counter } = input;
    const next = known?.session === session ? known.next : 1;
    if (counter - next >= sessionWindow)
      return this.#drop(tag, `an input from ${sender} is too far ahead of its others`);
    const held = this.#held.get(sender) ?? new Map();
    this.#held.set(sender, held);
    const key = `${session}/${counter}`;
    // The other copy is still in the queue's hands.
    if (held.has(key)) return this.#ports.ack(tag);
    held.set(key, { input, tag });
    this.#heldCount++;
  }

  /** The sender's next one was appended: perhaps one that is held comes now. */
  #release(sender: MemberId, now: number): void {
    const held = this.#held.get(sender);
    if (held === undefined) return;
    for (const [key, { input, tag }] of [...held].sort(
      ([, one], [, other]) => one.input.counter - other.input.counter,
    )) {
      if (placeOf(this.#known.get(sender), input) === 'ahead' || !held.delete(key)) continue;
      this.#heldCount--;
      this.#place(tag, input, now);
    }
    if (held.size === 0) this.#held.delete(sender);
  }

  #drop(tag: number, line: string): void {
    this.#ports.say(line);
    this.#ports.ack(tag);
  }
}
