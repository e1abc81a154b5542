import { RingServiceDefinition } from '../../proto/gen/warren/chord/v1/ring.ts';
import type { Bus } from '../bus/bus.ts';
import { createClient } from '../bus/calls.ts';
import type { MemberHost } from '../bus/hosted.ts';
import { rpcKey } from '../bus/own-keys.ts';
import { brokerAccountOf, type MemberId } from '../lib/identity/member-id.ts';
import { remember } from '../lib/remember.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { AddressBook } from './address-book.ts';
import type { Codecs } from './call-codecs.ts';
import type { Peer } from './peer.ts';
import type { RingCall, RingCalls, RingTransport } from './ports.ts';
import { type CallOf, callBy, type RingClient } from './transport.ts';

/** `here`: another node of this very member. */
export type Way = 'direct' | 'broker' | 'here';

export interface Ways {
  /** Each virtual node calls in its own name. */
  transportOf(self: Peer): RingTransport;
  /** Over what the member answered last. */
  lastWay(member: string): Way | undefined;
}

export interface WaysNeeds {
  readonly host: Pick<MemberHost, 'id' | 'bus' | 'dial' | 'clock'>;
  readonly codecs: Codecs;
  readonly book: AddressBook;
  /** It cannot be reached, or does not answer in time; it may still live. */
  readonly onSilent: (node: Peer, by: Peer) => void;
  /** Calls from one of this member's nodes to another. */
  readonly answerHere: <K extends RingCall>(to: Peer, call: K, request: RingCalls[K]['request'], from: Peer) => unknown;
}

/** Whom dialling left waiting is called through the broker for so long. */
const mistrustMs = 15_000;
const remembered = 10_000;

/** The ring's service of one member, through the broker. */
export function clientByBus(bus: Bus, member: string): RingClient {
  const account = brokerAccountOf(member as MemberId);
  return createClient(bus, rpcKey(account), RingServiceDefinition, { from: account });
}

/**
 * Whoever can be dialled is dialled. One that has not answered in half of the time is asked through the broker as well, and the first
 * answer counts: a path that is cut without a word is noticed by gRPC only after half a minute. (Each call bears being made twice.)
 */
export function createWays({ host, codecs, book, answerHere, onSilent }: WaysNeeds): Ways {
  const { bus, clock } = host;
  const mistrustedUntil = new Map<string, number>();
  const lastWays = new Map<string, Way>();
  const busClients = new Map<string, RingClient>();

  const byBus = (member: string): RingClient => {
    const client = busClients.get(member) ?? clientByBus(bus, member);
    remember(busClients, member, client, remembered);
    return client;
  };

  async function viaBroker<K extends RingCall>(asked: CallOf<K>): Promise<RingCalls[K]['reply']> {
    // Without a broker the call would wait for one.
    if (bus.state !== 'up') throw new CallFailure('UNAVAILABLE', 'CHORD_NO_WAY', 'there is no broker to call through');
    const reply = await callBy(byBus(asked.to.member), asked, codecs, book);
    remember(lastWays, asked.to.member, 'broker', remembered);
    return reply;
  }

  async function direct<K extends RingCall>(asked: CallOf<K>, isAgain = false): Promise<RingCalls[K]['reply']> {
    const { member } = asked.to;
    const link = await host.dial(member as MemberId, book.of(asked.to));
    if (link.way === 'broker') return viaBroker(asked);
    try {
      const reply = await callBy(link.unary(RingServiceDefinition), asked, codecs, book);
      remember(lastWays, member, 'direct', remembered);
      return reply;
    } catch (error) {
      // The connection broke: there may be another, or the broker.
      if (isAgain || !(error instanceof CallFailure) || error.code !== 'CALL_GRPC' || error.status !== 'UNAVAILABLE')
        throw error;
      return direct(asked, true);
    }
  }

  function either<K extends RingCall>(asked: CallOf<K>): Promise<RingCalls[K]['reply']> {
    return new Promise((resolve, reject) => {
      const { member } = asked.to;
      let isOver = false;
      const end = (act: () => void): void => {
        isOver = true;
        clearTimeout(hedge);
        act();
      };
      const half = asked.timeoutMs / 2;
      const hedge = setTimeout(() => {
        viaBroker({ ...asked, timeoutMs: Math.ceil(half) }).then(
          reply => {
            if (isOver) return;
            remember(mistrustedUntil, member, clock() + mistrustMs, remembered);
            end(() => resolve(reply));
          },
          () => {},
        );
      }, half);
      direct(asked).then(
        reply => end(() => resolve(reply)),
        error => end(() => reject(error)),
      );
    });
  }

  return {
    transportOf: self => ({
      async call(to, call, request, timeoutMs) {
        if (to.member === host.id) return answerHere(to, call, request, self) as RingCalls[typeof call]['reply'];
        const asked = { self, to, call, request, timeoutMs };
        const isMistrusted = clock() < (mistrustedUntil.get(to.member) ?? 0);
        try {
          return await (isMistrusted && bus.state === 'up' ? viaBroker(asked) : either(asked));
        } catch (error) {
          if (!isAnswer(error)) onSilent(to, self);
          throw error;
        }
      },
    }),
    lastWay: member => (member === host.id ? 'here' : lastWays.get(member)),
  };
}

/** It lives, and said no. */
function isAnswer(error: unknown): boolean {
  return error instanceof CallFailure && error.code !== 'CALL_GRPC' && error.code !== 'CHORD_NO_WAY';
}
