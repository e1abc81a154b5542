import type { InputPlace, Logged } from '../../../services/chat/core/entry.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';

/** An entry that counts. */
export interface Counted {
  readonly offset: number;
  readonly seq: number;
  readonly logged: Logged;
}

/**
 * The rule of the log once more, written from docs/chat-protocol.md and not from the code, and applied to each entry as it is appended: what everybody should come to
 * see. It knows nothing of rooms.
 */
export class Oracle {
  epoch = 0;
  owner: MemberId | undefined;
  /** Of each epoch. */
  readonly owners: MemberId[] = [];
  readonly counted: Counted[] = [];
  /** By offset. */
  readonly counts: boolean[] = [];
  readonly #written = new Map<MemberId, { session: number; last: number }>();
  readonly #all = new Set<string>();

  append(logged: Logged): void {
    this.counts.push(this.#look(logged));
  }

  /** Whether it is in the log, or can never be: its session is over. */
  isSettled({ sender, session, counter }: InputPlace): boolean {
    if (this.#all.has(`${sender} ${session} ${counter}`)) return true;
    return (this.#written.get(sender)?.session ?? 0) > session;
  }

  #look(logged: Logged): boolean {
    const { entry, from, offset } = logged;
    if (entry === undefined || from === undefined) return false;
    if (entry.kind === 'epoch') {
      if (entry.epoch !== this.epoch + 1) return false;
      this.epoch = entry.epoch;
      this.owner = from;
      this.owners[entry.epoch] = from;
      return true;
    }
    if (entry.epoch !== this.epoch || from !== this.owner || entry.seq !== this.counted.length + 1) return false;
    if (entry.kind === 'input' || entry.kind === 'refused') {
      const { sender, session, counter } = entry.kind === 'input' ? entry.input : entry;
      const before = this.#written.get(sender);
      const follows = before?.session === session ? counter === before.last + 1 : counter === 1;
      if (!follows || session < (before?.session ?? 0)) return false;
      this.#written.set(sender, { session, last: counter });
      this.#all.add(`${sender} ${session} ${counter}`);
    }
    this.counted.push({ offset, seq: entry.seq, logged });
    return true;
  }
}
