import { randomBytes } from 'node:crypto';
import { RelayServiceDefinition } from '../../../proto/gen/warren/bus/v1/relay.ts';
import { Failure, messageOf } from '../../lib/failure.ts';
import type { MemberKeys } from '../../lib/identity/keys.ts';
import { brokerAccountOf, type MemberId, shortId } from '../../lib/identity/member-id.ts';
import { answer, introduce, type SealedChannel } from '../../lib/identity/sealed-channel.ts';
import { CallFailure, callStatus } from '../../lib/rpc/call-failure.ts';
import {
  type CallOptions,
  type Client,
  patienceMs,
  type Served,
  type ServiceDefinition,
  served,
} from '../../lib/rpc/definition.ts';
import type { Bus, Consumer, Delivery } from '../bus.ts';
import { createClient } from '../calls.ts';
import { rpcKey } from '../own-keys.ts';
import { RelayCalling, type SendFrame } from './calling.ts';
import { decodeFrame, encodeFrame, type Frame } from './frame.ts';
import { RelayServing, relayMethods } from './serving.ts';

/** All in milliseconds. */
const openMs = 5_000;
const aliveMs = 5_000;
/** After which the other side is gone, if there is something to wait for. */
const silentMs = 15_000;
const idleMs = 60_000;
/** Of one member; and of all. */
const channelsOfOne = 8;
const channelsAtOnce = 256;

export interface RelayNeeds {
  /** With the member's own account. */
  readonly bus: Bus;
  readonly keys: MemberKeys;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  readonly warn: (line: string) => void;
}

/** One channel's end in this process: its queue, its frames sealed and opened, its timer. */
interface Channel {
  readonly send: SendFrame;
  /** Sends nothing more, and takes nothing more. */
  close(): void;
}

interface ChannelEvents {
  readonly receive: (frame: Frame) => void;
  /** Each few seconds; told how long nothing has come, in milliseconds. */
  readonly tick: (silentFor: number) => void;
  /** When it broke or the broker went; not after `close`, which is called if it is not there. */
  readonly broken: (why: string) => void;
}

/** @param sealed made before anything can come: both sides know it when the first frame is on its way */
async function openChannel(
  { bus, keys, clock, warn }: RelayNeeds,
  { channel, peer, sealed }: { channel: string; peer: MemberId; sealed: Promise<SealedChannel> },
  events: ChannelEvents,
): Promise<Channel> {
  const account = brokerAccountOf(peer);
  const key = `${account}.relay.${channel}`;
  let isOpen = true;
  let heard = clock();
  let opened: SealedChannel | undefined;
  void sealed.then(
    value => {
      opened = value;
    },
    () => {},
  );
  const end = (): void => {
    isOpen = false;
    clearInterval(timer);
    off();
    void consumer?.close();
  };
  const fail = (why: string): void => {
    if (!isOpen) return;
    events.broken(why);
    end();
  };
  const deliver = ({ userId, type, body }: Delivery): 'ack' => {
    // Of others, who cannot seal anyway, it is not even looked at: they must not be able to break it.
    if (!isOpen || userId !== account || type !== 'warren.bus.v1.RelayFrame' || opened === undefined) return 'ack';
    try {
      const frame = decodeFrame(opened.open(body));
      heard = clock();
      events.receive(frame);
    } catch (error) {
      warn(`the channel with member ${shortId(peer)} is closed: ${messageOf(error)}`);
      fail('what came through it was not right');
    }
    return 'ack';
  };
  const timer = setInterval(() => events.tick(clock() - heard), aliveMs).unref();
  const off = bus.onState(state => {
    // What was on its way is lost with the connection.
    if (state === 'connecting' || state === 'closed') fail('the broker is gone');
  });
  let consumer: Consumer | undefined;
  try {
    consumer = await bus.consume(
      { name: '', exclusive: true, why: 'frames of one sealed channel; of no use without this process' },
      deliver,
      { noAck: true, bindings: () => [{ exchange: 'm', key: `${brokerAccountOf(keys.id)}.relay.${channel}` }] },
    );
  } catch (error) {
    end();
    throw error;
  }
  if (!isOpen) void consumer.close();
  return {
    send: (stream, kind, data) => {
      if (!isOpen || opened === undefined) return false;
      const body = opened.seal(encodeFrame(stream, kind, data));
      const isSent = bus.send({ type: 'warren.bus.v1.RelayFrame', key, body });
      // One that did not go would be missing: the other side could open none after it.
      if (!isSent) queueMicrotask(() => fail('the broker takes nothing at the moment'));
      return isSent;
    },
    close: end,
  };
}

/** Calls members through the broker, with all of their services' methods, sealed. */
export interface Relays {
  /** Opened at the first call, closed when it has been idle for a minute, opened again at the next. */
  client<S extends ServiceDefinition>(member: MemberId, definition: S): Client<S>;
  close(): void;
}

export function createRelays(needs: RelayNeeds): Relays {
  const open = new Map<MemberId, Promise<RelayCalling>>();
  const closes = new Set<(why: string) => void>();

  const connect = async (member: MemberId): Promise<RelayCalling> => {
    const { bus, keys, clock } = needs;
    if (bus.state !== 'up' && bus.state !== 'blocked')
      throw new CallFailure('UNAVAILABLE', 'RELAY_LOST', `the broker is away: ${bus.reason}`);
    const mine = open.get(member);
    const channel = randomBytes(16).toString('hex');
    const { introduction, complete } = introduce(keys, channel, member);
    const sealed = Promise.withResolvers<SealedChannel>();
    let end: Channel | undefined;
    const calls = new RelayCalling((...frame) => end?.send(...frame) ?? false);
    const close = (why: string): void => {
      if (open.get(member) === mine) open.delete(member);
      closes.delete(close);
      end?.send(0, { $case: 'cancel', value: {} });
      end?.close();
      calls.end(new CallFailure('UNAVAILABLE', 'RELAY_LOST', `the way to member ${shortId(member)} broke: ${why}`));
    };
    let lastUsed = clock();
    /** While nobody waits, nobody says anything: silence counts from when somebody did. */
    let waitingSince: number | undefined;
    const tick = (silentFor: number): void => {
      if (calls.active > 0) {
        lastUsed = clock();
        waitingSince ??= lastUsed;
        if (Math.min(silentFor, lastUsed - waitingSince) > silentMs) close('it is silent');
        else end?.send(0, { $case: 'alive', value: {} });
      } else {
        waitingSince = undefined;
        if (clock() - lastUsed > idleMs) close('it was idle');
      }
    };
    const receive = (frame: Frame): void => {
      if (frame.stream > 0) calls.receive(frame);
      else if (frame.kind.$case === 'end') close(frame.kind.value.detail);
    };
    closes.add(close);
    try {
      const events = { receive, tick, broken: close };
      end = await openChannel(needs, { channel, peer: member, sealed: sealed.promise }, events);
      const account = brokerAccountOf(member);
      const relay = createClient(bus, rpcKey(account), RelayServiceDefinition, { from: account });
      const { publicKey, newKey, signature } = introduction;
      const request = {
        channel,
        publicKey: Buffer.from(publicKey),
        newKey: Buffer.from(newKey),
        signature: Buffer.from(signature),
      };
      sealed.resolve(complete(await relay.open(request, { deadlineMs: openMs })));
      await sealed.promise;
      return calls;
    } catch (error) {
      close('it could not be opened');
      throw error instanceof CallFailure ? error : asUnavailable(member, error);
    }
  };

  const calling = (member: MemberId): Promise<RelayCalling> => {
    const found = open.get(member);
    if (found) return found;
    const made = Promise.resolve().then(() => connect(member));
    open.set(member, made);
    made.catch(() => {
      if (open.get(member) === made) open.delete(member);
    });
    return made;
  };

  return {
    client: (member, definition) => {
      const methods = Object.entries(definition.methods).map(([name, method]) => {
        const path = `${definition.fullName}/${method.name}`;
        async function* answers(request: unknown, deadlineMs: number, given?: AbortSignal): AsyncGenerator<unknown> {
          const bytes = method.requestType.encode(request as never).finish();
          const deadline = deadlineMs > 0 ? AbortSignal.timeout(deadlineMs) : undefined;
          const signal = AbortSignal.any([given, deadline].filter(each => each !== undefined));
          try {
            const channel = await unlessAborted(calling(member), signal);
            for await (const answer of channel.call(path, bytes, deadlineMs, signal))
              yield method.responseType.decode(answer);
          } catch (error) {
            if (!deadline?.aborted) throw error;
            throw new CallFailure('DEADLINE_EXCEEDED', 'CALL_DEADLINE', `not done within ${deadlineMs} ms`);
          }
        }
        const unary = async (request: unknown, { deadlineMs = patienceMs, signal }: CallOptions = {}) => {
          for await (const answer of answers(request, deadlineMs, signal)) return answer;
          throw new CallFailure('INTERNAL', 'RELAY_NO_ANSWER', 'the call ended without an answer');
        };
        const stream = (request: unknown, { deadlineMs = 0, signal }: CallOptions = {}) =>
          answers(request, deadlineMs, signal);
        return [name, method.responseStream ? stream : unary];
      });
      return Object.fromEntries(methods) as Client<typeof definition>;
    },
    close: () => {
      for (const close of closes) close('this side ends');
    },
  };
}

/** The channel that opens goes on to, for the next who asks. */
function unlessAborted<T>(opening: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abandon = (): void => reject(new CallFailure('CANCELLED', 'CALL_ABANDONED', 'given up'));
    if (signal.aborted) abandon();
    signal.addEventListener('abort', abandon);
    opening.then(resolve, reject).finally(() => signal.removeEventListener('abort', abandon));
  });
}

function asUnavailable(member: MemberId, error: unknown): CallFailure {
  const why = error instanceof Failure && error.code === 'BUS_NO_RECEIVER' ? 'it is not there' : messageOf(error);
  return new CallFailure('UNAVAILABLE', 'RELAY_OPEN', `member ${shortId(member)} cannot be reached: ${why}`, {
    cause: error,
  });
}

/** Serves the same handlers as gRPC does, through the broker. */
export interface RelayServer {
  /** To be served at `m.<id>.rpc`: channels are opened there. */
  readonly service: Served;
  /** Ends the channels of a member, who was revoked. */
  drop(member: MemberId): void;
  close(): void;
}

/** @param admit throws a `CallFailure` for who may not call, as of gRPC */
export function serveRelays(
  needs: RelayNeeds,
  services: readonly Served[],
  admit: (member: MemberId) => void,
): RelayServer {
  const { keys, warn } = needs;
  const methods = relayMethods(services);
  const channels = new Map<MemberId, Set<(why: string) => void>>();
  let count = 0;

  const open = async (peer: MemberId, channel: string, introduction: Parameters<typeof answer>[3]) => {
    const mine = channels.get(peer) ?? new Set();
    if (mine.size >= channelsOfOne || count >= channelsAtOnce)
      throw new CallFailure('RESOURCE_EXHAUSTED', 'RELAY_CHANNELS', 'too many channels are open', {
        retryAfterMs: silentMs,
      });
    let own: ReturnType<typeof answer>;
    try {
      own = answer(keys, channel, peer, introduction);
    } catch (error) {
      throw new CallFailure('UNAUTHENTICATED', 'RELAY_INTRODUCTION', messageOf(error), { cause: error });
    }
    count++;
    channels.set(peer, mine);
    const close = (why: string): void => {
      if (!mine.delete(close)) return;
      count--;
      if (mine.size === 0) channels.delete(peer);
      const told = { code: callStatus.UNAVAILABLE, reason: 'RELAY_CLOSED', detail: why, retryAfterMs: 0 };
      end?.send(0, { $case: 'end', value: told });
      end?.close();
      serving?.end();
    };
    mine.add(close);
    let end: Channel | undefined;
    let serving: RelayServing | undefined;
    try {
      end = await openChannel(
        needs,
        { channel, peer, sealed: Promise.resolve(own.sealed) },
        {
          receive: frame => {
            if (frame.stream === 0 && frame.kind.$case === 'cancel') close('as asked');
            else serving?.receive(frame);
          },
          tick: silentFor => {
            // The caller says that it is there as long as it waits for something, and closes before we do.
            if (silentFor > (serving?.active ? silentMs + aliveMs : 2 * idleMs)) close('it was silent');
          },
          broken: close,
        },
      );
    } catch (error) {
      close('it could not be opened');
      throw error;
    }
    serving = new RelayServing(peer, methods, end.send, warn);
    if (!mine.has(close)) {
      end.close();
      throw new CallFailure('UNAVAILABLE', 'RELAY_LOST', 'the broker is gone');
    }
    const { publicKey, newKey, signature } = own.introduction;
    return { publicKey: Buffer.from(publicKey), newKey: Buffer.from(newKey), signature: Buffer.from(signature) };
  };

  const drop = (member: MemberId, why = 'not admitted any more'): void => {
    for (const close of [...(channels.get(member) ?? [])]) close(why);
  };
  return {
    service: served(RelayServiceDefinition, {
      open: async ({ channel, publicKey, newKey, signature }, { memberId }) => {
        if (memberId === undefined)
          throw new CallFailure('PERMISSION_DENIED', 'RELAY_MEMBERS', 'members only may open a channel');
        admit(memberId);
        return open(memberId, channel, { publicKey, newKey, signature });
      },
    }),
    drop: member => drop(member),
    close: () => {
      for (const member of [...channels.keys()]) drop(member, 'that member ends');
    },
  };
}
