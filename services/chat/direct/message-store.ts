import type { SQLInputValue } from 'node:sqlite';
import type { DirectState as State } from '../../../proto/gen/warren/chat/v1/direct.ts';
import { DirectState } from '../../../proto/gen/warren/chat/v1/direct.ts';
import type { MemberId } from '../../lib/identity/member-id.ts';
import { type Statements, transaction } from '../../lib/sqlite.ts';

/** A private message as it is kept here. */
export interface KeptDirect {
  /** Counts up as they come; never given twice. */
  readonly number: number;
  readonly id: string;
  /** The account of the other side. */
  readonly peer: string;
  readonly isOwn: boolean;
  readonly sender: MemberId;
  readonly body: string;
  /** Milliseconds since 1970, as its sender says. */
  readonly atMs: number;
  readonly state: State;
}

export interface KeptConversation {
  readonly peer: string;
  readonly unread: number;
  readonly last: KeptDirect;
}

const conversationLimit = 1_000;

/** Private messages, as they came and went. Part of the `DirectStore`. */
export class MessageStore {
  readonly #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** Of ours, on this member: to be addressed. */
  compose(message: Pick<KeptDirect, 'id' | 'peer' | 'sender' | 'body' | 'atMs'>): KeptDirect {
    return transaction(this.#statements.database, () => {
      const kept = this.#insert({ ...message, isOwn: true, state: DirectState.DIRECT_STATE_WAITING });
      this.#statements.run('INSERT INTO unaddressed VALUES (?)', kept.number);
      return kept;
    });
  }

  /** Of somebody. @returns undefined: it is here already */
  receive(message: Omit<KeptDirect, 'number'>, sealingKey: Uint8Array): KeptDirect | undefined {
    return transaction(this.#statements.database, () => {
      const { sender, id } = message;
      const { changes } = this.#statements.run('INSERT OR IGNORE INTO seen VALUES (?, ?, ?)', sender, id, sealingKey);
      return changes === 0 ? undefined : this.#insert(message);
    });
  }

  #insert({ id, peer, isOwn, sender, body, atMs, state }: Omit<KeptDirect, 'number'>): KeptDirect {
    const { lastInsertRowid } = this.#statements.run(
      'INSERT INTO messages (id, peer, is_own, sender, body, at_ms, state) VALUES (?, ?, ?, ?, ?, ?, ?)',
      ...[id, peer, Number(isOwn), sender, body, atMs, state],
    );
    return { number: Number(lastInsertRowid), id, peer, isOwn, sender, body, atMs, state };
  }

  message(number: number): KeptDirect | undefined {
    return this.#messages('WHERE number = ?', number)[0];
  }

  /** With an account, the last ones before a number, the oldest first. */
  page(peer: string, before: number, limit: number): KeptDirect[] {
    return this.#messages('WHERE peer = ? AND number < ? ORDER BY number DESC LIMIT ?', peer, before, limit).reverse();
  }

  /** The one with the latest message first. */
  conversations(): KeptConversation[] {
    const last = this.#messages(
      `WHERE number IN (SELECT max(number) FROM messages GROUP BY peer) ORDER BY number DESC LIMIT ${conversationLimit}`,
    );
    const unread = this.#statements.sql('SELECT count(*) AS count FROM messages WHERE peer = ? AND state = ?');
    return last.map(message => ({
      peer: message.peer,
      unread: Number(unread.get(message.peer, DirectState.DIRECT_STATE_UNREAD)?.count),
      last: message,
    }));
  }

  /** Only ever further on: sent, delivered, read; failed is the end of what was not delivered. @returns undefined: it was there */
  advance(number: number, state: State): KeptDirect | undefined {
    const { DIRECT_STATE_SENT: sent, DIRECT_STATE_FAILED: failed } = DirectState;
    const from = state === failed ? `state <= ${sent}` : `(state < ${state} OR state = ${failed})`;
    const { changes } = this.#statements.run(
      `UPDATE messages SET state = ? WHERE number = ? AND is_own = 1 AND ${from}`,
      state,
      number,
    );
    return changes === 0 ? undefined : this.message(number);
  }

  /** Ours to that account, by their ids. */
  ownByIds(ids: readonly string[], peer: string): KeptDirect[] {
    return ids.flatMap(id => this.#messages('WHERE id = ? AND peer = ? AND is_own = 1', id, peer));
  }

  /** Those of others with these ids, whoever wrote them, are read. @returns those that were not */
  readByIds(ids: readonly string[]): KeptDirect[] {
    const unread = ids.flatMap(id => this.#messages('WHERE id = ? AND state = ?', id, DirectState.DIRECT_STATE_UNREAD));
    return this.#read(unread);
  }

  /** All that came from that account is read. @returns what was not */
  readAll(peer: string): KeptDirect[] {
    return this.#read(this.#messages('WHERE peer = ? AND state = ?', peer, DirectState.DIRECT_STATE_UNREAD));
  }

  #read(unread: readonly KeptDirect[]): KeptDirect[] {
    const state = DirectState.DIRECT_STATE_READ;
    for (const { number } of unread)
      this.#statements.run('UPDATE messages SET state = ? WHERE number = ?', state, number);
    return unread.map(message => ({ ...message, state }));
  }

  /** The oldest go, beyond so many or before a time; not what is on its way. @returns how many */
  retain({ most, olderThanMs }: { most: number; olderThanMs: number }): number {
    return Number(
      this.#statements.run(
        `DELETE FROM messages WHERE number IN (
           SELECT number FROM messages WHERE (at_ms < :olderThanMs
             OR number <= (SELECT number FROM messages ORDER BY number DESC LIMIT 1 OFFSET :most))
           AND number NOT IN (SELECT message FROM outgoing WHERE message IS NOT NULL UNION SELECT message FROM unaddressed)
           ORDER BY number LIMIT 1000)`,
        { most, olderThanMs },
      ).changes,
    );
  }

  unaddressed(): KeptDirect[] {
    return this.#messages('WHERE number IN (SELECT message FROM unaddressed) ORDER BY number');
  }

  #messages(where: string, ...values: SQLInputValue[]): KeptDirect[] {
    return this.#statements
      .sql(`SELECT * FROM messages ${where}`)
      .all(...values)
      .map(row => ({
        number: Number(row.number),
        id: String(row.id),
        peer: String(row.peer),
        isOwn: row.is_own === 1,
        sender: String(row.sender) as MemberId,
        body: String(row.body),
        atMs: Number(row.at_ms),
        state: Number(row.state) as State,
      }));
  }
}
