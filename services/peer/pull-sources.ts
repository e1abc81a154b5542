import { setTimeout as wait } from 'node:timers/promises';
import { type Holding, type SourceProgress, SourceState } from '../../proto/gen/warren/peer/v1/peer.ts';
import type { MemberHost, MemberLink } from '../bus/hosted.ts';
import { backoffMs } from '../lib/backoff.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { isMemberId, type MemberId, shortId } from '../lib/identity/member-id.ts';
import { pause } from '../lib/pause.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { Client } from '../lib/rpc/definition.ts';
import { fetchManifest, type Manifest } from './fetch-manifest.ts';
import type { FilePull } from './file-pull.ts';
import type { Contact, Locator } from './locator.ts';
import { type ContentId, pieceCount } from './merkle.ts';
import type { PieceFrame, SwarmService } from './piece-frame.ts';
import { SwarmService as swarmService } from './piece-frame.ts';
import { PieceMap, type PieceRun } from './piece-map.ts';

/** With what is around it, it goes as one message through the broker (bus/relay/frame.ts). */
const relayedFrameBytes = 124 * 1024 - 64;
const retryBounds = { firstMs: 500, maxMs: 15_000 };
/** Who said that it has not got it may have it later. */
const notHeldMs = 10_000;
const directAgainMs = 5_000;
/** News of one source are taken so often at most. */
const newsMs = 10;
const mostSources = 64;
/** Who is only known from what a source says must not keep out whom the directory names. */
const mostHearsay = 32;
const mostRunsTold = 1_024;
/** A piece may be on its way to several. */
const mostTimesTold = 8;

/** What sources are told to. */
type Sourced = Pick<FilePull<unknown>, 'join' | 'holding' | 'leave' | 'sources'>;

interface Source {
  contact: Contact;
  link: MemberLink | undefined;
  client: Client<SwarmService> | undefined;
  /** In use. */
  readonly lanes: Set<number>;
  isThere: boolean;
  banned: string | undefined;
  detail: string;
  relayed: number;
  /** Named by another source, and by nobody else. */
  isHearsay: boolean;
  /** Ends the present watch, to begin another one at once. */
  turn: AbortController;
}

export interface SourceNeeds {
  readonly id: ContentId;
  readonly own: MemberId;
  readonly transferId: string;
  readonly dial: MemberHost['dial'];
  readonly locator: Locator;
  readonly random: () => number;
  readonly warn: (line: string) => void;
  /** When the pull is over. */
  readonly signal: AbortSignal;
}

/** Those who have a content, for one pull: the ways to them, what they have, and who of them is not to be trusted. */
export class PullSources {
  readonly #needs: SourceNeeds;
  readonly #sources = new Map<MemberId, Source>();
  readonly #manifest = Promise.withResolvers<Manifest>();
  readonly #attached = Promise.withResolvers<void>();
  #hasManifest = false;
  #pull: Sourced | undefined;
  #length = 0;

  constructor(needs: SourceNeeds) {
    this.#needs = needs;
    this.#manifest.promise.catch(() => {});
    this.#attached.promise.catch(() => {});
    needs.signal.addEventListener('abort', () => {
      const over = new Failure('PEER_CANCELLED', 'the download is over');
      this.#manifest.reject(over);
      this.#attached.reject(over);
    });
  }

  /** Checked; from whoever gives it first. */
  get manifest(): Promise<Manifest> {
    return this.#manifest.promise;
  }

  add(contact: Contact, isHearsay = false): void {
    const { own, signal } = this.#needs;
    if (contact.memberId === own || signal.aborted) return;
    const known = this.#sources.get(contact.memberId);
    if (known !== undefined) {
      if (contact.addresses.length > 0) known.contact = contact;
      known.isHearsay &&= isHearsay;
      return;
    }
    if (this.#sources.size >= mostSources || (isHearsay && !this.#hearsMore)) return;
    const source: Source = {
      ...{ contact, link: undefined, client: undefined, lanes: new Set(), isThere: false, banned: undefined },
      ...{ detail: '', relayed: 0, isHearsay, turn: new AbortController() },
    };
    this.#sources.set(contact.memberId, source);
    void this.#follow(source);
  }

  /** From now on pieces are pulled. @param length of the content, in bytes */
  attach(pull: Sourced, length: number): void {
    this.#pull = pull;
    this.#length = length;
    this.#hasManifest = true;
    this.#attached.resolve();
  }

  get #hearsMore(): boolean {
    let count = 0;
    for (const { isHearsay } of this.#sources.values()) if (isHearsay) count++;
    return count < mostHearsay;
  }

  get count(): number {
    return this.#sources.size;
  }

  /** Whether somebody can be asked now. */
  get areThere(): boolean {
    return [...this.#sources.values()].some(({ isThere, banned }) => isThere && banned === undefined);
  }

  get areAllBanned(): boolean {
    return this.#sources.size > 0 && [...this.#sources.values()].every(({ banned }) => banned !== undefined);
  }

  ban(memberId: string, why: string): void {
    const source = this.#sources.get(memberId as MemberId);
    if (source === undefined || source.banned !== undefined) return;
    source.banned = why;
    this.#needs.warn(`member ${memberId} is out for ${shortOf(this.#needs.id)}: ${why}`);
    source.turn.abort();
    this.#pull?.leave(memberId);
  }

  /** How pieces come: the transport of a `FilePull`. */
  async *fetch(memberId: string, run: PieceRun, signal: AbortSignal): AsyncGenerator<PieceFrame> {
    const source = this.#sources.get(memberId as MemberId);
    if (source?.client === undefined || source.link === undefined)
      throw new CallFailure('UNAVAILABLE', 'PEER_AWAY', 'there is no way to it now');
    const isRelayed = source.link.way === 'broker';
    let lane = 0;
    while (source.lanes.has(lane)) lane++;
    source.lanes.add(lane);
    const request = {
      ...{ fileId: this.#needs.id, runs: [run], transferId: this.#needs.transferId },
      frameBytes: isRelayed ? relayedFrameBytes : 0,
    };
    try {
      for await (const frame of source.link.client(swarmService, lane).fetchPieces(request, { signal })) {
        if (isRelayed) source.relayed += frame.data.length;
        yield frame;
      }
    } catch (error) {
      if (!signal.aborted) source.detail = messageOf(error);
      throw error;
    } finally {
      source.lanes.delete(lane);
    }
  }

  views(): SourceProgress[] {
    const views = new Map((this.#pull?.sources() ?? []).map(view => [view.id, view]));
    return [...this.#sources.values()].map(({ contact, link, isThere, banned, detail }) => {
      const view = views.get(contact.memberId);
      return {
        ...{ memberId: contact.memberId, name: contact.name, isRelayed: link?.way === 'broker' },
        ...{ bytes: view?.bytes ?? 0, rate: Math.round(view?.rate ?? 0), detail: banned ?? (isThere ? '' : detail) },
        state: stateOf(banned !== undefined, isThere, view?.mode, view?.requests ?? 0),
      };
    });
  }

  /** Bytes that came from a source through the broker. */
  relayedFrom(memberId: string): number {
    return this.#sources.get(memberId as MemberId)?.relayed ?? 0;
  }

  async #follow(source: Source): Promise<void> {
    const { signal, random, dial, locator } = this.#needs;
    const { memberId } = source.contact;
    let failures = 0;
    while (!signal.aborted && source.banned === undefined) {
      const turn = new AbortController();
      source.turn = turn;
      const both = AbortSignal.any([signal, turn.signal]);
      let againMs: number | undefined;
      try {
        // It may be somewhere else by now.
        if (failures > 0) source.contact = (await locator.contactOf(memberId)) ?? source.contact;
        const link = await dial(memberId, source.contact.addresses);
        source.link = link;
        source.client = link.client(swarmService);
        if (link.way === 'broker') void this.#tryDirect(source, both);
        await this.#watch(source, both, () => {
          failures = 0;
        });
      } catch (error) {
        if (signal.aborted) break;
        if (error instanceof Failure && (error.code === 'PEER_MANIFEST' || error.code === 'PEER_PIECE_MAP')) {
          this.ban(memberId, error.message);
          break;
        }
        if (!turn.signal.aborted) source.detail = messageOf(error);
        if (error instanceof CallFailure && error.status === 'NOT_FOUND') againMs = notHeldMs;
      }
      if (turn.signal.aborted) continue;
      source.isThere = false;
      this.#pull?.leave(memberId);
      turn.abort();
      await pause(againMs ?? backoffMs(failures++, retryBounds, random), signal);
    }
    source.isThere = false;
    source.turn.abort();
  }

  async #watch(source: Source, signal: AbortSignal, isWell: () => void): Promise<void> {
    const { client, contact } = source;
    const { id, locator } = this.#needs;
    if (client === undefined) return;
    if (!this.#hasManifest) {
      const manifest = await fetchManifest(client, id, signal);
      this.#hasManifest = true;
      this.#manifest.resolve(manifest);
    }
    await this.#attached.promise;
    let isJoined = false;
    for await (const { holding } of client.watchPieceMap({ fileId: id, isPulling: true }, { signal })) {
      if (holding === undefined) continue;
      if (isJoined && holding.map.length === 0) this.#news(contact.memberId, holding);
      else {
        const map = holding.isComplete ? undefined : PieceMap.decode(pieceCount(this.#length), holding.map);
        this.#pull?.join(contact.memberId, map);
        this.#news(contact.memberId, { ...holding, added: [] });
        isJoined = true;
        source.isThere = true;
        source.detail = '';
        isWell();
      }
      for (const other of holding.others.slice(0, mostSources)) {
        if (!isMemberId(other) || this.#sources.has(other) || !this.#hearsMore) continue;
        const found = await locator.contactOf(other);
        this.add(found ?? { memberId: other, name: shortId(other), addresses: [] }, true);
      }
      await pause(newsMs, signal);
    }
  }

  #news(memberId: MemberId, { added, coming, isComplete }: Holding): void {
    const pieces = pieceCount(this.#length);
    this.#pull?.holding(memberId, { added: bounded(added, pieces), coming: bounded(coming, pieces), isComplete });
  }

  /** While it goes through the broker, straight is tried again; when that works, it takes over. */
  async #tryDirect(source: Source, signal: AbortSignal): Promise<void> {
    const { dial, locator, random } = this.#needs;
    const { memberId } = source.contact;
    while (!signal.aborted) {
      await wait(directAgainMs * (1 + random() / 2), undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      const contact = (await locator.contactOf(memberId)) ?? source.contact;
      const link = await dial(memberId, contact.addresses).catch(() => undefined);
      if (link?.way !== 'direct' || signal.aborted) continue;
      source.contact = contact;
      source.turn.abort();
      return;
    }
  }
}

/** Each piece of each run is counted, so what is said again and again costs time. */
function bounded(runs: readonly PieceRun[], pieces: number): PieceRun[] {
  let left = pieces * mostTimesTold;
  const taken = runs.slice(0, mostRunsTold).findIndex(({ first, count }) => {
    left -= Math.max(1, Math.min(count, pieces - first));
    return left < 0;
  });
  return runs.slice(0, taken < 0 ? mostRunsTold : taken);
}

function stateOf(isBanned: boolean, isThere: boolean, mode: string | undefined, requests: number): SourceState {
  if (isBanned || mode === 'banned') return SourceState.SOURCE_STATE_BANNED;
  if (mode === 'waiting') return SourceState.SOURCE_STATE_WAITING;
  if (!isThere) return mode === undefined ? SourceState.SOURCE_STATE_CONNECTING : SourceState.SOURCE_STATE_GONE;
  return requests > 0 ? SourceState.SOURCE_STATE_MOVING : SourceState.SOURCE_STATE_IDLE;
}

function shortOf(id: ContentId): string {
  return id.slice(0, 12);
}
