import { join } from 'node:path';
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { matchOf } from '../../lib/search-words.ts';
import { formatOf, openDatabase, otherFormat, Statements, transaction } from '../../lib/sqlite.ts';

/** What somebody said in a room, as the log has it. */
export interface KeptMessage {
  /** Counts all entries of the chat that count. */
  readonly seq: number;
  /** In the stream. */
  readonly offset: number;
  readonly room: string;
  /** Member id. */
  readonly sender: string;
  /** Milliseconds since 1970, as the server's clock had it. */
  readonly atMs: number;
  readonly body: string;
  /** Member ids. */
  readonly mentions?: readonly string[] | undefined;
  readonly file?: { readonly fileId: string; readonly name: string; readonly size: number } | undefined;
}

export interface HistoryPage {
  /** The oldest first. */
  readonly messages: readonly KeptMessage[];
  /** There are more, beyond the end that is farther from what was asked for. */
  readonly hasMore: boolean;
}

export interface Retention {
  /** Of bodies and what is kept with each, at most. */
  readonly maxBytes: number;
  /** Milliseconds since 1970: what is older goes. */
  readonly olderThanMs: number;
}

const code = 'CHAT_HISTORY';
const version = 1;
const pageLimit = 200;
/** About what a message takes beside its text and its words. */
const rowBytes = 160;
/** Removed in one transaction; it takes some milliseconds. */
const slice = 2_000;

const schema = `
  CREATE TABLE rooms (room INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE senders (sender INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE messages (
    seq INTEGER PRIMARY KEY,
    log_offset INTEGER NOT NULL,
    room INTEGER NOT NULL REFERENCES rooms,
    sender INTEGER NOT NULL REFERENCES senders,
    at_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    -- Mentions and file, as JSON; null: neither.
    more TEXT,
    -- A word that all messages of a room have, so that looking for words in one room does not go through the others.
    place TEXT NOT NULL GENERATED ALWAYS AS ('room' || room) VIRTUAL
  ) STRICT;
  CREATE INDEX messages_of ON messages (room, seq);
  CREATE VIRTUAL TABLE words USING fts5(
    place, body, content = 'messages', content_rowid = 'seq', tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
  );
  CREATE TABLE numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO numbers VALUES ('next_offset', 0), ('bytes', 0);
  PRAGMA user_version = ${version};
`;

const selected = `
  SELECT seq, log_offset, rooms.name AS room, senders.id AS sender, at_ms, body, more
  FROM messages JOIN rooms USING (room) JOIN senders USING (sender)`;

/**
 * What was said in one chat, for looking up: filled by whoever tails the log, and never more than a copy of it. A commit survives the
 * death of the process; what a power cut takes is read from the log again, because how far it is, is in the same commit.
 */
export class History {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  readonly #rooms = new Map<string, number>();
  readonly #senders = new Map<string, number>();

  /** @param dir made 0700 if need be @throws Failure CHAT_HISTORY */
  constructor(dir: string) {
    const file = join(dir, 'history.db');
    this.#db = openDatabase(file, code, db => {
      db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384;');
      transaction(db, () => {
        const found = formatOf(db);
        if (found === 0) db.exec(schema);
        else if (found !== version) throw otherFormat(code, file, found, version);
      });
    }).database;
    this.#statements = new Statements(this.#db);
  }

  /** Where in the log to read on. */
  get nextOffset(): number {
    return this.#number('next_offset');
  }

  get bytes(): number {
    return this.#number('bytes');
  }

  /** Takes what was read, all or nothing. What is there already stays as it is. @param nextOffset behind the last entry read */
  add(messages: readonly KeptMessage[], nextOffset: number): void {
    try {
      transaction(this.#db, () => this.#add(messages, nextOffset));
    } catch (error) {
      // Keys of what was rolled back are free again.
      this.#rooms.clear();
      this.#senders.clear();
      throw error;
    }
  }

  #add(messages: readonly KeptMessage[], nextOffset: number): void {
    let added = 0;
    for (const { seq, offset, room, sender, atMs, body, mentions = [], file } of messages) {
      const roomKey = this.#keyOf(this.#rooms, 'rooms', room);
      const { changes } = this.#statements
        .sql('INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)')
        .run(
          ...[seq, offset, roomKey, this.#keyOf(this.#senders, 'senders', sender), atMs, body, moreOf(mentions, file)],
        );
      if (changes === 0) continue;
      this.#statements.sql('INSERT INTO words (rowid, place, body) VALUES (?, ?, ?)').run(seq, `room${roomKey}`, body);
      added += bytesOf(body);
    }
    this.#statements.sql("UPDATE numbers SET value = value + ? WHERE name = 'bytes'").run(added);
    this.#statements.sql("UPDATE numbers SET value = max(value, ?) WHERE name = 'next_offset'").run(nextOffset);
  }

  /** The last ones, or those next to a message. @param near `before` or `after` a seq, that one not included @param limit at most 200 */
  page(room: string, near: { readonly before?: number; readonly after?: number }, limit: number): HistoryPage {
    const count = Math.min(limit, pageLimit);
    const { before = Number.MAX_SAFE_INTEGER, after } = near;
    const place = '(SELECT room FROM rooms WHERE name = ?)';
    const rows =
      after === undefined
        ? this.#rows(`${selected} WHERE room = ${place} AND seq < ? ORDER BY seq DESC LIMIT ?`, room, before, count + 1)
        : this.#rows(`${selected} WHERE room = ${place} AND seq > ? ORDER BY seq LIMIT ?`, room, after, count + 1);
    const messages = rows.slice(0, count);
    return { messages: after === undefined ? messages.reverse() : messages, hasMore: rows.length > count };
  }

  /**
   * Messages of a room that have all the words (`begin*` for words that begin so), the last ones.
   * @param before what is older than that one only @param limit at most 200
   */
  search(room: string, text: string, { before = Number.MAX_SAFE_INTEGER }, limit: number): HistoryPage {
    const words = matchOf(text);
    const key = this.#rooms.get(room) ?? this.#known('rooms', room);
    if (words === undefined || key === undefined) return { messages: [], hasMore: false };
    const count = Math.min(limit, pageLimit);
    const rows = this.#rows(
      `SELECT found.seq AS seq, log_offset, rooms.name AS room, senders.id AS sender, at_ms, messages.body AS body, more
       FROM (SELECT rowid AS seq FROM words WHERE words MATCH ? AND rowid < ? ORDER BY rowid DESC LIMIT ?) AS found
         JOIN messages USING (seq) JOIN rooms USING (room) JOIN senders USING (sender)
       ORDER BY found.seq DESC`,
      ...[`place : room${key} AND body : (${words})`, before, count + 1],
    );
    return { messages: rows.slice(0, count).reverse(), hasMore: rows.length > count };
  }

  /**
   * Removes the oldest messages, of all rooms, that are past the bounds; some thousands at most, so it is to be called until it says 0.
   * @returns how many
   */
  retain({ maxBytes, olderThanMs }: Retention): number {
    return transaction(this.#db, () => {
      let excess = this.bytes - maxBytes;
      let removed = 0;
      for (const { seq, room, body, at_ms } of this.#statements
        .sql('SELECT seq, room, body, at_ms FROM messages ORDER BY seq LIMIT ?')
        .all(slice)) {
        if (excess <= 0 && Number(at_ms) >= olderThanMs) break;
        const text = String(body);
        this.#statements
          .sql("INSERT INTO words (words, rowid, place, body) VALUES ('delete', ?, ?, ?)")
          .run(...[Number(seq), `room${Number(room)}`, text]);
        this.#statements.sql('DELETE FROM messages WHERE seq = ?').run(Number(seq));
        excess -= bytesOf(text);
        removed++;
      }
      this.#statements.sql("UPDATE numbers SET value = ? WHERE name = 'bytes'").run(excess + maxBytes);
      return removed;
    });
  }

  close(): void {
    this.#db.close();
  }

  #rows(text: string, ...values: SQLInputValue[]): KeptMessage[] {
    return this.#statements
      .sql(text)
      .all(...values)
      .map(row => ({
        seq: Number(row.seq),
        offset: Number(row.log_offset),
        room: String(row.room),
        sender: String(row.sender),
        atMs: Number(row.at_ms),
        body: String(row.body),
        ...(row.more === null ? {} : (JSON.parse(String(row.more)) as Pick<KeptMessage, 'mentions' | 'file'>)),
      }));
  }

  #keyOf(known: Map<string, number>, table: 'rooms' | 'senders', name: string): number {
    const key = known.get(name) ?? this.#known(table, name) ?? this.#insert(table, name);
    known.set(name, key);
    return key;
  }

  #known(table: 'rooms' | 'senders', name: string): number | undefined {
    const row = this.#statements
      .sql(
        table === 'rooms'
          ? 'SELECT room AS key FROM rooms WHERE name = ?'
          : 'SELECT sender AS key FROM senders WHERE id = ?',
      )
      .get(name);
    return row === undefined ? undefined : Number(row.key);
  }

  #insert(table: 'rooms' | 'senders', name: string): number {
    const column = table === 'rooms' ? 'name' : 'id';
    return Number(this.#statements.sql(`INSERT INTO ${table} (${column}) VALUES (?)`).run(name).lastInsertRowid);
  }

  #number(name: string): number {
    return Number(this.#statements.sql('SELECT value FROM numbers WHERE name = ?').get(name)?.value);
  }
}

function moreOf(mentions: readonly string[], file: KeptMessage['file']): string | null {
  if (mentions.length === 0 && file === undefined) return null;
  return JSON.stringify({ ...(mentions.length === 0 ? {} : { mentions }), ...(file === undefined ? {} : { file }) });
}

function bytesOf(body: string): number {
  return rowBytes + Buffer.byteLength(body);
}
