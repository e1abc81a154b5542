import type { MemberId } from '../lib/identity/member-id.ts';
import { isMemberId } from '../lib/identity/member-id.ts';
import type { ContentIndex } from './content-index.ts';
import type { DownloadRequest } from './download.ts';
import type { Contact } from './locator.ts';
import type { ContentId } from './merkle.ts';
import type { SharePath } from './share-path.ts';

/** So many who have it are known after a restart, when the directory is away. */
const mostContacts = 16;

/**
 * What was asked for and is not over, a folder as one, in the index's database: it outlives the process. What has come of each file is noted
 * elsewhere (unfinished.ts), so nothing is lost when this cannot be written but that it goes on by itself, as one.
 */
export class AskedDownloads {
  readonly #index: ContentIndex;

  constructor(index: ContentIndex) {
    this.#index = index;
  }

  begin({ id, transferId, path, isPaused, mostBytes, from }: DownloadRequest): void {
    const contacts = from
      .slice(0, mostContacts)
      .map(({ memberId, name, addresses }) => ({ memberId, name, addresses }));
    this.#tried(() =>
      this.#index
        .sql('INSERT OR REPLACE INTO asked VALUES (?, ?, ?, ?, ?, ?)')
        .run(id, transferId, path, isPaused === true ? 1 : 0, mostBytes ?? null, JSON.stringify(contacts)),
    );
  }

  list(): DownloadRequest[] {
    return this.#index
      .sql('SELECT * FROM asked ORDER BY rowid')
      .all()
      .map(({ id, transfer_id, path, paused, most_bytes, contacts }) => ({
        ...{ id: String(id) as ContentId, transferId: String(transfer_id), path: String(path) as SharePath },
        ...{ isPaused: paused === 1, from: contactsIn(String(contacts)) },
        ...(most_bytes === null ? {} : { mostBytes: Number(most_bytes) }),
      }));
  }

  savePaused(id: ContentId, isPaused: boolean): void {
    this.#tried(() => this.#index.sql('UPDATE asked SET paused = ? WHERE id = ?').run(isPaused ? 1 : 0, id));
  }

  end(id: ContentId): void {
    this.#tried(() => this.#index.sql('DELETE FROM asked WHERE id = ?').run(id));
  }

  #tried(act: () => unknown): void {
    try {
      act();
    } catch {
      // The disk is full, say: what was noted before still holds.
    }
  }
}

function contactsIn(text: string): Contact[] {
  const found = JSON.parse(text) as { memberId: string; name: string; addresses: string[] }[];
  return found.flatMap(({ memberId, name, addresses }) =>
    isMemberId(memberId) ? [{ memberId: memberId as MemberId, name, addresses }] : [],
  );
}
