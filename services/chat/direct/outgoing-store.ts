import type { MemberId } from '../../lib/identity/member-id.ts';
import type { Statements } from '../../lib/sqlite.ts';
import type { Outgoing } from './sending.ts';

/** A member, with its account. */
export interface Addressee {
  readonly id: MemberId;
  readonly account: string;
}

export interface KeptOutgoing extends Outgoing {
  readonly receiver: MemberId;
  /** Of the receiver. */
  readonly account: string;
  /** `number` of the message; undefined: a receipt. */
  readonly message: number | undefined;
}

/** What is on its way to other members. Part of the `DirectStore`; whoever changes more than a row does so in a transaction of that. */
export class OutgoingStore {
  readonly #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** A message that was not addressed yet goes to these. */
  address(message: number, receivers: readonly Addressee[], now: number): void {
    this.#statements.run('DELETE FROM unaddressed WHERE message = ?', message);
    for (const to of receivers) this.#push(to, message, null, now);
  }

  /** @param receipt a `DirectReceipt`, encoded */
  post(receivers: readonly Addressee[], receipt: Uint8Array, now: number): void {
    for (const to of receivers) this.#push(to, null, receipt, now);
  }

  #push({ id, account }: Addressee, message: number | null, receipt: Uint8Array | null, now: number): void {
    this.#statements.run(
      'INSERT INTO outgoing (receiver, account, message, receipt, due_at, made_at) VALUES (?, ?, ?, ?, ?, ?)',
      ...[id, account, message, receipt, now, now],
    );
  }

  all(): KeptOutgoing[] {
    return this.#statements
      .sql(
        'SELECT number, receiver, account, message, attempts, is_queued, due_at, made_at FROM outgoing ORDER BY number',
      )
      .all()
      .map(row => ({
        number: Number(row.number),
        receiver: String(row.receiver) as MemberId,
        account: String(row.account),
        message: row.message === null ? undefined : Number(row.message),
        attempts: Number(row.attempts),
        isQueued: row.is_queued === 1,
        dueAt: Number(row.due_at),
        madeAt: Number(row.made_at),
      }));
  }

  /** @returns undefined: it is none, or not on its way any more */
  receiptOf(number: number): Uint8Array | undefined {
    const row = this.#statements.sql('SELECT receipt FROM outgoing WHERE number = ?').get(number);
    return (row?.receipt as Uint8Array | null | undefined) ?? undefined;
  }

  count(): number {
    return Number(this.#statements.sql('SELECT count(*) AS count FROM outgoing').get()?.count);
  }

  setQueued(number: number, dueAt: number): void {
    this.#statements.run('UPDATE outgoing SET is_queued = 1, attempts = 0, due_at = ? WHERE number = ?', dueAt, number);
  }

  setAttempted(number: number, attempts: number, dueAt: number): void {
    const set = 'UPDATE outgoing SET is_queued = 0, attempts = ?, due_at = ? WHERE number = ?';
    this.#statements.run(set, attempts, dueAt, number);
  }

  drop(number: number): void {
    this.#statements.run('DELETE FROM outgoing WHERE number = ?', number);
  }

  /** That member has them. */
  delivered(receiver: MemberId, ids: readonly string[]): void {
    for (const id of ids)
      this.#statements.run(
        'DELETE FROM outgoing WHERE receiver = ? AND message IN (SELECT number FROM messages WHERE id = ? AND is_own = 1)',
        ...[receiver, id],
      );
  }

  has(number: number): boolean {
    return this.#statements.sql('SELECT 1 FROM outgoing WHERE number = ?').get(number) !== undefined;
  }

  isOnItsWay(message: number): boolean {
    return this.#statements.sql('SELECT 1 FROM outgoing WHERE message = ?').get(message) !== undefined;
  }
}
