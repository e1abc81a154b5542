import type { PeerServiceDefinition, Transfer } from '../../proto/gen/warren/peer/v1/peer.ts';
import { ContentKind } from '../../proto/gen/warren/peer/v1/peer.ts';
import type { MemberHost } from '../bus/hosted.ts';
import { Failure } from '../lib/failure.ts';
import { isMemberId, shortId } from '../lib/identity/member-id.ts';
import { CallFailure, type CallStatus } from '../lib/rpc/call-failure.ts';
import type { Handlers } from '../lib/rpc/definition.ts';
import type { ContentIndex, FileFacts } from './content-index.ts';
import { onlyDirectoryKnows } from './directory-locator.ts';
import type { Download } from './download.ts';
import type { Limits } from './limits.ts';
import { type Contact, type FoundContent, isLocate, isNowhere, type Locate, type Locator } from './locator.ts';
import { type ContentId, isContentId } from './merkle.ts';
import type { Share } from './share.ts';
import { type Platform, parseSharePath, splitPath } from './share-path.ts';
import { copyIntoShare, removeFromShare } from './share-tree.ts';
import { parseId } from './swarm-service.ts';
import type { OwnTransfer } from './transfer.ts';
import type { Transfers } from './transfers.ts';

export interface PeerNeeds {
  readonly host: Pick<MemberHost, 'directory' | 'id' | 'dataDir'>;
  readonly index: ContentIndex;
  readonly share: Share;
  readonly transfers: Transfers;
  readonly locator: Locator;
  readonly limits: Limits;
  readonly platform: Platform;
}

const usualPage = 100;
const usualList = 1_000;
const mostList = 10_000;

/** What the owner can have done, and how it is asked from inside too (the origin's service). */
export interface Peer {
  readonly handlers: Handlers<typeof PeerServiceDefinition>;
  /** Begins to pull. @throws CallFailure, Failure */
  get(request: {
    what: string;
    to: string;
    from: readonly string[];
    locate?: string | undefined;
  }): Promise<OwnTransfer>;
  /** Begins to have others pull. @throws CallFailure, Failure */
  put(request: { what: string; to: readonly string[] }): Promise<OwnTransfer[]>;
}

export function createPeer({ host, index, share, transfers, locator, limits, platform }: PeerNeeds): Peer {
  const contactsOf = (members: readonly string[]): Promise<Contact[]> =>
    Promise.all(
      members.map(async memberId => {
        if (!isMemberId(memberId))
          throw new CallFailure('INVALID_ARGUMENT', 'PEER_MEMBER', `${memberId.slice(0, 80)} is no member id`);
        return (await locator.contactOf(memberId)) ?? { memberId, name: shortId(memberId), addresses: [] };
      }),
    );

  const resolve = async (
    what: string,
    from: readonly string[],
    where?: Locate,
  ): Promise<{ id: ContentId; name: string; contacts: Contact[] }> => {
    const given = await contactsOf(from);
    if (isContentId(what)) {
      // That somebody is found is for later: it may be on its way already, or come back.
      const found =
        given.length > 0
          ? locator.known(what)
          : await locator.locate(what, undefined, where).catch(error => {
              const known = locator.known(what);
              // The directory's word goes before what is remembered; that the ring has not heard of it does not.
              const isCertain = known.length === 0 || !(error instanceof CallFailure) || error.code !== 'RING_FILE';
              if (isNowhere(error) && isCertain && !isKnownHere(what)) throw error;
              return known;
            });
      const name = nameOf(what, found);
      return { id: what, name, contacts: given.length > 0 ? given : found.map(({ contact }) => contact) };
    }
    const own = index.factsOf(what);
    const found = await locator.find(what).catch(error => {
      if (own !== undefined) return [];
      throw error;
    });
    const ids = new Set(found.map(({ id }) => id));
    if (own !== undefined) ids.add(own.id);
    const [id] = ids;
    if (ids.size > 1)
      throw new CallFailure(
        'FAILED_PRECONDITION',
        'PEER_AMBIGUOUS',
        `${ids.size} different files are called ${JSON.stringify(what)}: say which by its id (${[...ids].slice(0, 5).join(', ')})`,
      );
    if (id === undefined) throw new CallFailure('NOT_FOUND', 'DIRECTORY_FILE', 'no peer shares such a file');
    const contacts = given.length > 0 ? given : found.map(({ contact }) => contact);
    return { id, name: own?.path ?? nameOf(id, found), contacts };
  };

  const isKnownHere = (id: ContentId): boolean => index.manifests.find(id) !== undefined;

  const nameOf = (id: ContentId, found: readonly FoundContent[]): string => {
    // Over the ring it has no name but its id; the directory may have said one before.
    const path = [...found, ...locator.known(id)].find(each => each.id === id && each.path !== id)?.path;
    return path === undefined ? id.slice(0, 12) : splitPath(path).name;
  };

  const goOn = (running: Download): OwnTransfer => {
    if (running.isPaused) running.resume();
    return running;
  };

  const get: Peer['get'] = async ({ what, to, from, locate }) => {
    const where = whereOf(locate);
    // Whoever has it is known to what runs.
    const before = from.length === 0 && isContentId(what) ? transfers.ofContent(what) : undefined;
    if (before !== undefined) return goOn(before);
    const { id, name, contacts } = await resolve(what, from, where);
    const running = transfers.ofContent(id);
    if (running !== undefined) return goOn(running);
    return transfers.download({ id, path: parseSharePath(to || name, platform), from: contacts, where });
  };

  const put: Peer['put'] = async ({ what, to }) => {
    const facts = ownFacts(what);
    if (to.length > 0) return (await contactsOf(to)).map(contact => transfers.upload(facts, contact));
    const { peerId, username, addresses } = await host.directory.upload({ token: '' });
    if (!isMemberId(peerId)) throw new CallFailure('NOT_FOUND', 'DIRECTORY_ALONE', 'no other member is there now');
    return [transfers.upload(facts, { memberId: peerId, name: username, addresses })];
  };

  const ownFacts = (what: string): FileFacts => {
    const path = isContentId(what) ? index.filesOf(what)[0]?.path : what;
    const facts = path === undefined ? index.listFolders().find(({ id }) => id === what) : index.factsOf(path);
    if (facts === undefined)
      throw new CallFailure('NOT_FOUND', 'PEER_NOT_HELD', `${JSON.stringify(what.slice(0, 300))} is not in the share`);
    return facts;
  };

  const steered = async (id: string, act: (transfer: OwnTransfer) => unknown): Promise<{ transfer: Transfer }> => {
    const transfer = transfers.find(id);
    if (transfer === undefined) {
      const past = transfers.past(id);
      if (past !== undefined) return { transfer: past };
      throw new CallFailure('NOT_FOUND', 'PEER_TRANSFER', 'there is no such transfer');
    }
    await act(transfer);
    return { transfer: transfer.view() };
  };

  const handlers: Handlers<typeof PeerServiceDefinition> = {
    search: request => search(host, request),

    async locate({ fileId, locate }) {
      const found = await answered(locator.locate(parseId(fileId), undefined, whereOf(locate)));
      return {
        holders: found.map(({ contact: { memberId, name, addresses } }) => ({
          ...{ memberId, name, addresses: [...addresses], isComplete: true },
        })),
      };
    },

    async *get(request, { signal }) {
      const transfer = await answered(get(request));
      for await (const view of transfers.follow(transfer, signal)) yield { transfer: view };
    },

    async *put(request, { signal }) {
      const begun = await answered(put(request));
      for (const transfer of begun)
        for await (const view of transfers.follow(transfer, signal)) yield { transfer: view };
    },

    async *watchTransfers(_request, { signal }) {
      for await (const transfer of transfers.watch(signal)) yield { transfer };
    },
    listTransfers: async ({ withPast }) => ({ transfers: transfers.list(withPast) }),
    pause: ({ transferId }) => steered(transferId, transfer => transfer.pause()),
    resume: ({ transferId }) => steered(transferId, transfer => transfer.resume()),
    cancel: ({ transferId }) => steered(transferId, transfer => transfer.cancel()),

    async remove({ path }) {
      const parsed = await answered(() => parseSharePath(path, platform));
      await answered(removeFromShare(share.root, parsed));
      share.look(splitPath(parsed).folder);
      return {};
    },

    async share({ from, to }) {
      const name = to || splitPath(from.replace(/\/+$/, '')).name;
      const path = await answered(copyIntoShare({ root: share.root, dataDir: host.dataDir, platform }, from, name));
      share.look(splitPath(path).folder);
      return { path };
    },

    listShared: async request => ({ ...listShared(index, request), pending: share.pending, root: share.root }),

    async setLimits({ up, down, offerQuota }) {
      const number = (value: bigint | undefined) => (value === undefined ? undefined : Number(value));
      limits.set({ up: number(up), down: number(down), offerQuota: number(offerQuota) });
      return { limits: limitsOf(limits) };
    },
    getLimits: async () => ({ limits: limitsOf(limits) }),
  };
  return { handlers, get, put };
}

function limitsOf({ up, down, quota }: Limits) {
  return { up: up.rate, down: down.rate, offerQuota: quota.bytes, offerUsed: quota.used };
}

async function search(
  { directory }: PeerNeeds['host'],
  {
    words,
    prefix,
    type,
    minLength,
    maxLength,
    limit,
    after,
  }: Parameters<Handlers<typeof PeerServiceDefinition>['search']>[0],
) {
  const last = words.trimEnd();
  // The last word may be a beginning.
  const q = last === '' || last.endsWith('*') ? last : `${last}*`;
  const request = { token: '', q, type: type.toLowerCase(), minSize: minLength, maxSize: maxLength, after };
  const { files, next } = await answered(
    directory.search(request).catch(error => {
      throw onlyDirectoryKnows(error);
    }),
  );
  const found = files
    .filter(({ name }) => splitPath(name).name.startsWith(prefix) || name.startsWith(prefix))
    .slice(0, limit || usualPage)
    .map(({ id, name, size, peers }) => ({
      ...{ fileId: id, path: name, kind: ContentKind.CONTENT_KIND_UNSPECIFIED, length: size, holders: peers },
    }));
  return { found, next };
}

function listShared(
  index: ContentIndex,
  { path, after, limit }: { path: string; after: string; limit: number },
): Omit<Awaited<ReturnType<Handlers<typeof PeerServiceDefinition>['listShared']>>, 'root' | 'pending'> {
  const most = Math.min(limit || usualList, mostList);
  const files = [];
  let next = '';
  for (let from = after; next === ''; ) {
    const page = index.listFiles(from, most);
    for (const file of page) {
      from = file.path;
      if (path !== '' && file.path !== path && !file.path.startsWith(`${path}/`)) continue;
      const { path: at, id, length, modifiedMs } = file;
      files.push({ path: at, fileId: id, length, modifiedMs, refused: '' });
      if (files.length < most) continue;
      next = file.path;
      break;
    }
    if (page.length < most) break;
  }
  // On the last page, what is refused.
  if (next === '')
    for (const refused of index.refusals(usualList))
      if (path === '' || refused.path.startsWith(`${path}/`))
        files.push({ path: refused.path, fileId: '', length: 0, modifiedMs: 0, refused: refused.reason });
  return { files, next };
}

/** @throws CallFailure PEER_LOCATE */
function whereOf(text: string | undefined): Locate | undefined {
  if (text === undefined || isLocate(text)) return text;
  throw new CallFailure('INVALID_ARGUMENT', 'PEER_LOCATE', 'files are looked for in directory, ring or both');
}

/** What the owner's program is told of anything that went wrong here. */
async function answered<T>(act: Promise<T> | (() => T)): Promise<T> {
  try {
    return await (typeof act === 'function' ? act() : act);
  } catch (error) {
    if (!(error instanceof Failure) || error instanceof CallFailure) throw error;
    throw new CallFailure(statusOf(error.code), error.code, error.message, { cause: error });
  }
}

function statusOf(code: string): CallStatus {
  if (code.startsWith('BUS_')) return 'UNAVAILABLE';
  if (code === 'PEER_NOT_HELD') return 'NOT_FOUND';
  if (code === 'PEER_DISK_FULL') return 'RESOURCE_EXHAUSTED';
  if (code.startsWith('PEER_DISK')) return 'PERMISSION_DENIED';
  return code.startsWith('PEER_') ? 'INVALID_ARGUMENT' : 'INTERNAL';
}
