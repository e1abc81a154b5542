import { ChordServiceDefinition, type RingView } from '../../proto/gen/warren/chord/v1/chord.ts';
import type { Changes } from '../lib/changes.ts';
import { Failure } from '../lib/failure.ts';
import { CallFailure, type CallStatus } from '../lib/rpc/call-failure.ts';
import { type Handlers, type Served, served } from '../lib/rpc/definition.ts';
import { Turns } from '../lib/turns.ts';
import type { AddressBook } from './address-book.ts';
import type { RingHost } from './host.ts';
import { formatIdentifier } from './identifier.ts';
import { placeOfKey } from './key.ts';
import type { ProviderPort } from './provider-port.ts';
import { shownNode } from './view.ts';
import { walkAround } from './walk.ts';
import type { Ways } from './ways.ts';

export interface OwnerNeeds {
  readonly ring: RingHost;
  readonly book: AddressBook;
  readonly ways: Pick<Ways, 'lastWay'>;
  readonly changes: Changes;
  readonly providers: ProviderPort;
  readonly leave: () => Promise<void>;
  readonly view: () => RingView;
  /** Ends what streams. */
  readonly ending: AbortSignal;
}

export type OwnerHandlers = Handlers<typeof ChordServiceDefinition>;

const nodesShown = 1_024;
const apartMs = 200;
/**
 * Lookups, puts and gets at a time; more wait in line. However many clients there are, the calls to other nodes stay few enough to be
 * answered in time: a node that is late counts as dead.
 */
const atOnce = 32;

const statuses: Readonly<Record<string, CallStatus>> = {
  OUTSIDE: 'UNAVAILABLE',
  NO_MAJORITY: 'UNAVAILABLE',
  NO_WAY: 'UNAVAILABLE',
  HOP_LIMIT: 'DEADLINE_EXCEEDED',
  REFUSED: 'RESOURCE_EXHAUSTED',
  TOO_LARGE: 'INVALID_ARGUMENT',
};

/** What the owner may ask, of whatever front: gRPC on the local endpoint, REST. */
export function ownerHandlers({
  ring,
  book,
  ways,
  changes,
  providers,
  leave,
  view,
  ending,
}: OwnerNeeds): OwnerHandlers {
  const { node, storage } = ring.first;
  const turns = new Turns(atOnce);
  const inTurn = async <T>(act: () => Promise<T>): Promise<T> => {
    try {
      return await turns.take(act);
    } catch (error) {
      throw refusalOf(error);
    }
  };
  return {
    show: () =>
      inTurn(async () => {
        const { nodes, isWhole } = node.isMember
          ? await walkAround(node, nodesShown)
          : { nodes: [node.self], isWhole: true };
        return { view: view(), nodes: nodes.map(peer => shownNode(peer, book)), isWhole };
      }),
    lookup: ({ key }) =>
      inTurn(async () => {
        const place = placeOfKey(key);
        const { owner, path } = await node.lookup(place);
        return {
          place: formatIdentifier(place),
          owner: shownNode(owner, book),
          hops: path.map(({ peer, ms, isSilent }) => ({
            ...{ node: shownNode(peer, book), ms, isSilent },
            way: isSilent ? '' : (ways.lastWay(peer.member) ?? ''),
          })),
          totalMs: path.reduce((sum, { ms }) => sum + ms, 0),
        };
      }),
    put: ({ key, value, lifeMs }) =>
      inTurn(async () => {
        const place = placeOfKey(key);
        await (lifeMs === 0 ? storage.put(place, value) : storage.put(place, value, lifeMs));
        return { place: formatIdentifier(place) };
      }),
    get: ({ key }) =>
      inTurn(async () => {
        const found = await storage.get(placeOfKey(key));
        if (found === undefined)
          throw new CallFailure('NOT_FOUND', 'CHORD_NO_VALUE', 'the ring has nothing for this key');
        const { value, writer, counter } = found;
        return { value: Buffer.from(value.buffer, value.byteOffset, value.byteLength), writer, counter };
      }),
    remove: ({ key }) =>
      inTurn(async () => {
        await storage.remove(placeOfKey(key));
        return {};
      }),
    provide: ({ fileId }) =>
      inTurn(async () => {
        await providers.provide(fileId);
        return {};
      }),
    withdraw: ({ fileId }) =>
      inTurn(async () => {
        await providers.withdraw(fileId);
        return {};
      }),
    providers: ({ fileId }) =>
      inTurn(async () => {
        const found = await providers.providers(fileId);
        return { memberIds: found.map(({ memberId }) => memberId) };
      }),
    leave: async () => {
      await leave();
      return {};
    },
    watch: (_request, { signal }) =>
      changes.watch(() => ({ view: view() }), apartMs, AbortSignal.any([signal, ending])),
  };
}

export function serveOwner(handlers: OwnerHandlers): Served {
  return served(ChordServiceDefinition, handlers);
}

function refusalOf(error: unknown): unknown {
  if (error instanceof CallFailure || !(error instanceof Failure)) return error;
  const status = statuses[error.code];
  return status === undefined ? error : new CallFailure(status, `CHORD_${error.code}`, error.message, { cause: error });
}
