import type { DirectoryServiceDefinition } from '../../proto/gen/warren/directory/v1/directory.ts';
import type { FileSource } from '../../proto/gen/warren/directory/v1/files.ts';
import { isMemberId } from '../lib/identity/member-id.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { Caller, UnaryHandlers } from '../lib/rpc/definition.ts';
import type { ActivePeer } from './active-peers.ts';
import type { Holding } from './file-catalogue.ts';
import type { fileMethods } from './file-methods.ts';
import { isFileId } from './shared-file.ts';
import type { DirectoryStore } from './store.ts';

export interface FileNeeds {
  readonly store: Pick<DirectoryStore, 'index' | 'catalogue' | 'downloads'>;
  /** By id, each once. */
  readonly activePeers: () => readonly ActivePeer[];
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** @throws CallFailure when it is nobody that may ask */
  readonly peerOf: (token: string, caller: Caller) => string;
}

type FileHandlers = Pick<UnaryHandlers<typeof DirectoryServiceDefinition>, keyof typeof fileMethods>;

const pageSize = 50;
const sourcesLimit = 500;
/** What a peer that is no member may share: one list, in one call. */
const filesOfSession = 10_000;

/** The handlers for files, behind REST and the bus. Whoever asks is an account with a session. */
export function createFileHandlers({ store, activePeers, random, peerOf }: FileNeeds): FileHandlers {
  const { index, catalogue, downloads } = store;

  /** Those of the holders that are there, in random order. */
  const active = (holdings: readonly Holding[]): FileSource[] => {
    const byId = new Map(activePeers().map(peer => [peer.peerId, peer]));
    const found = holdings.flatMap(({ peerId, file }) => {
      const peer = byId.get(peerId);
      return peer === undefined ? [] : [{ ...peer, file }];
    });
    return shuffled(found, random);
  };

  return {
    async index({ token, files, counter, part, parts }, caller) {
      const peerId = peerOf(token, caller);
      if (!isMemberId(peerId)) {
        if (parts > 1 || counter > 0 || files.length > filesOfSession)
          throw new CallFailure(
            'INVALID_ARGUMENT',
            'DIRECTORY_REQUEST',
            `counter, parts: only of a member; others say all in one call, at most ${filesOfSession} files`,
          );
        return { index: index.replace(peerId, files) };
      }
      if (counter === 0)
        throw new CallFailure('INVALID_ARGUMENT', 'DIRECTORY_REQUEST', 'counter: a member must say one, from 1');
      return {
        index: index.apply(peerId, { counter, files, removed: [], snapshot: { part, parts: parts || 1 } }),
      };
    },

    async download({ token, file, all }, caller) {
      const asker = peerOf(token, caller);
      const holdings = isFileId(file) ? catalogue.withId(file) : catalogue.withName(file);
      if (holdings.length === 0) throw new CallFailure('NOT_FOUND', 'DIRECTORY_FILE', 'no peer shares such a file');
      const sources = active(holdings);
      if (sources.length === 0)
        throw new CallFailure('NOT_FOUND', 'DIRECTORY_NO_SOURCE', 'nobody who has this file is there now');
      if (all)
        return {
          sources: sources.sort((a, b) => (a.file?.id ?? '').localeCompare(b.file?.id ?? '')).slice(0, sourcesLimit),
        };
      const other = sources.find(({ peerId }) => peerId !== asker) ?? sources[0];
      return { sources: other === undefined ? [] : [other] };
    },

    async upload({ token }, caller) {
      const asker = peerOf(token, caller);
      const others = shuffled(activePeers(), random).filter(({ peerId }) => peerId !== asker);
      const peer = others.find(canBeReached) ?? others[0];
      if (peer === undefined) throw new CallFailure('NOT_FOUND', 'DIRECTORY_ALONE', 'no other peer is there now');
      return peer;
    },

    async search({ token, q, type, minSize, maxSize, after }, caller) {
      peerOf(token, caller);
      const offset = Number(after);
      const { hits, hasMore, isCut } = catalogue.search({ q, type, minSize, maxSize, offset, limit: pageSize });
      const there = new Set(activePeers().map(({ peerId }) => peerId));
      return {
        files: hits.map(hit => ({
          id: hit.id,
          name: hit.name,
          size: hit.size,
          type: hit.type,
          peers: catalogue.holdersOf(hit).filter(peerId => there.has(peerId)).length,
          downloads: hit.downloads,
        })),
        next: hasMore ? String(offset + pageSize) : '',
        isCut,
      };
    },

    async getFile({ token, id }, caller) {
      peerOf(token, caller);
      const about = catalogue.describe(id);
      if (about === undefined) throw new CallFailure('NOT_FOUND', 'DIRECTORY_FILE', 'no peer shares such a file');
      const sources = active(catalogue.withId(id)).slice(0, sourcesLimit);
      return { id, ...about, sources, ...downloads.of(id) };
    },
  };
}

/** A member always, over the broker if not directly. */
function canBeReached({ peerId, addresses }: ActivePeer): boolean {
  return isMemberId(peerId) || addresses.length > 0;
}

/** Fisher–Yates. */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const mixed = [...items];
  for (let last = mixed.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    const [a, b] = [mixed[last], mixed[other]];
    if (a === undefined || b === undefined) continue;
    mixed[last] = b;
    mixed[other] = a;
  }
  return mixed;
}
