import { ContentKind, type Holding } from '../../proto/gen/warren/peer/v1/peer.ts';
import { Failure } from '../lib/failure.ts';
import type { MemberId } from '../lib/identity/member-id.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { Caller, Handlers } from '../lib/rpc/definition.ts';
import type { Contents } from './contents.ts';
import type { Limits } from './limits.ts';
import { type ContentId, isContentId, pieceBytes } from './merkle.ts';
import type { Offers } from './offers.ts';
import type { SwarmService } from './piece-frame.ts';
import { PieceMap, type PieceRun } from './piece-map.ts';
import { createPieceMemory, framesOf, mostRequestPieces, mostRuns, type PieceSource } from './piece-source.ts';
import { mostSmallIds, readSmall } from './small-contents.ts';
import type { Swarm, Swarms } from './swarms.ts';
import { frameBytesAt } from './token-bucket.ts';
import { mostTold } from './upload-ledger.ts';

const mostFrameBytes = 256 * 1024;
/** Pieces are sent to so many calls at a time, of one member and in all. */
const uploadsOfOne = 32;
const uploadsAtOnce = 128;
/** A call for small contents holds as much memory as so many for pieces. */
const smallCalls = 4;
const watchMs = 50;
const mostOthers = 64;

export interface SwarmNeeds {
  readonly contents: Contents;
  readonly swarms: Swarms;
  readonly limits: Limits;
  readonly offers: Offers;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
}

/** What members ask of each other. */
export function createSwarm({ contents, swarms, limits, offers, clock }: SwarmNeeds): Handlers<SwarmService> {
  // Whatever carries them, gRPC or the relay, has copied a frame when it asks for the next one.
  const memory = createPieceMemory();
  const uploads = new Map<string, number>();
  let uploading = 0;
  const takeSlot = (member: string, calls = 1): (() => void) => {
    const own = uploads.get(member) ?? 0;
    if (own + calls > uploadsOfOne || uploading + calls > uploadsAtOnce)
      throw new CallFailure('RESOURCE_EXHAUSTED', 'PEER_BUSY', 'as much as can be is being sent', {
        retryAfterMs: 1_000,
      });
    uploads.set(member, own + calls);
    uploading += calls;
    return () => {
      uploading -= calls;
      const left = (uploads.get(member) ?? calls) - calls;
      if (left > 0) uploads.set(member, left);
      else uploads.delete(member);
    };
  };

  return {
    async getManifest({ fileId, part }, caller) {
      memberOf(caller);
      const found = contents.manifestPart(parseId(fileId), part);
      if (found === undefined) throw notHeld(fileId);
      const { head, leaves } = found;
      if (part > 0 && leaves.length === 0)
        throw new CallFailure('OUT_OF_RANGE', 'PEER_NOT_HELD', `its manifest has no part ${part}`);
      return {
        kind: kindOf(head.kind),
        length: head.length,
        partRoots: Buffer.from(head.partRoots),
        leaves: Buffer.from(leaves),
      };
    },

    async *fetchPieces({ fileId, runs, frameBytes }, caller) {
      const member = memberOf(caller);
      const id = parseId(fileId);
      const pieces = runs.reduce((sum, { count }) => sum + count, 0);
      if (runs.length > mostRuns || pieces > mostRequestPieces)
        throw new CallFailure('OUT_OF_RANGE', 'PEER_REQUEST', 'too much is asked for at once');
      const { signal } = caller;
      const mostBytes = Math.min(mostFrameBytes, Math.max(4_096, frameBytes || mostFrameBytes));
      const release = takeSlot(member);
      using swarm = swarms.enter(id);
      const end = swarm.ledger.begin(member, runs);
      let source: PieceSource | undefined;
      try {
        source = await contents.open(id);
        const frameBytesNow = (): number => frameBytesAt(limits.up.rate, mostBytes);
        for await (const frame of framesOf(source, runs, frameBytesNow, memory)) {
          if (!(await limits.pace('up', frame.data.length, signal))) return;
          if (frame.offset === 0) swarm.ledger.sent(member, frame.piece, clock());
          yield frame;
        }
      } catch (error) {
        throw asAnswer(error, source === undefined);
      } finally {
        end();
        release();
        await source?.close();
      }
    },

    async *fetchSmall({ ids }, caller) {
      const member = memberOf(caller);
      if (ids.length > mostSmallIds)
        throw new CallFailure('OUT_OF_RANGE', 'PEER_REQUEST', 'too much is asked for at once');
      const release = takeSlot(member, smallCalls);
      const { signal } = caller;
      try {
        // Under a limit an answer is to come every second or so, or the receiver takes us for stalled.
        const mostBytes = (): number => (limits.up.rate === 0 ? pieceBytes : limits.up.rate);
        for await (const answer of readSmall(contents, ids.map(parseId), mostBytes)) {
          const bytes = answer.reduce((sum, { data }) => sum + data.length, 0);
          if (!(await limits.pace('up', bytes, signal))) return;
          yield { contents: answer };
        }
      } finally {
        release();
      }
    },

    async getPieceMap({ fileId }, caller) {
      const member = memberOf(caller);
      const id = parseId(fileId);
      using swarm = swarms.enter(id);
      const holding = look(id, swarm, member, undefined)?.holding;
      if (holding === undefined) throw notHeld(fileId);
      return { holding };
    },

    async *watchPieceMap({ fileId, isPulling }, caller) {
      const member = memberOf(caller);
      const id = parseId(fileId);
      using swarm = swarms.enter(id);
      let told: PieceMap | undefined;
      if (isPulling) {
        swarm.pullers.set(member, (swarm.pullers.get(member) ?? 0) + 1);
      }
      try {
        for await (const seen of swarm.news.watch(() => look(id, swarm, member, told), watchMs, caller.signal)) {
          if (seen === undefined) {
            if (told === undefined) throw notHeld(fileId);
            return;
          }
          told = seen.told;
          yield { holding: seen.holding };
        }
      } finally {
        const left = (swarm.pullers.get(member) ?? 1) - 1;
        if (left > 0) swarm.pullers.set(member, left);
        else if (isPulling) swarm.pullers.delete(member);
      }
    },

    offer: (request, caller) => offers.take(request, memberOf(caller)),
  };

  /** @param told what it knows of us; undefined: nothing yet */
  function look(
    id: ContentId,
    swarm: Swarm,
    member: MemberId,
    told: PieceMap | undefined,
  ): { holding: Holding; told: PieceMap } | undefined {
    const state = contents.stateOf(id);
    if (state === undefined) return undefined;
    const others = [...swarm.pullers.keys()].filter(other => other !== member).slice(0, mostOthers);
    const sending = swarm.ledger.comingFor(member, clock());
    if (state === 'held') {
      const holding = { isComplete: true, map: none, added: [], coming: sending, others };
      return { holding, told: told ?? new PieceMap(0) };
    }
    const { map } = state.download;
    const coming = [...state.pull.coming(), ...sending].slice(0, mostTold);
    const added = told === undefined ? undefined : newRuns(told, map);
    const all = PieceMap.decode(map.pieces, map.encode());
    if (added === undefined || added.length > mostTold)
      return { holding: { isComplete: false, map: Buffer.from(map.encode()), added: [], coming, others }, told: all };
    return { holding: { isComplete: false, map: none, added, coming, others }, told: all };
  }
}

const none = Buffer.alloc(0);

function newRuns(before: PieceMap, now: PieceMap): PieceRun[] {
  if (before.count === now.count) return [];
  const fresh = new PieceMap(now.pieces);
  for (const { first, count } of now.runs())
    for (let piece = first; piece < first + count; piece++) if (!before.has(piece)) fresh.add(piece);
  return [...fresh.runs()];
}

/** @throws CallFailure PERMISSION_DENIED for whom broker or TLS does not name */
function memberOf({ memberId }: Caller): MemberId {
  if (memberId === undefined)
    throw new CallFailure('PERMISSION_DENIED', 'PEER_MEMBERS', 'files are for members of the network');
  return memberId;
}

/** @throws CallFailure INVALID_ARGUMENT */
export function parseId(text: string): ContentId {
  if (!isContentId(text))
    throw new CallFailure('INVALID_ARGUMENT', 'PEER_ID', 'a file id is 64 lower-case hexadecimal digits');
  return text;
}

export function kindOf(kind: 'file' | 'folder'): ContentKind {
  return kind === 'file' ? ContentKind.CONTENT_KIND_FILE : ContentKind.CONTENT_KIND_FOLDER;
}

function notHeld(id: string): CallFailure {
  return new CallFailure('NOT_FOUND', 'PEER_NOT_HELD', `${id.slice(0, 64)} is not here`);
}

function asAnswer(error: unknown, isAtOpening: boolean): unknown {
  if (!(error instanceof Failure) || error instanceof CallFailure) return error;
  if (error.code === 'PEER_FILE_CHANGED') return new CallFailure('ABORTED', error.code, error.message);
  if (error.code === 'PEER_NOT_HELD')
    return new CallFailure(isAtOpening ? 'NOT_FOUND' : 'OUT_OF_RANGE', error.code, error.message);
  return error;
}
