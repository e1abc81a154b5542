import { randomBytes } from 'node:crypto';
import { RelayServiceDefinition } from '../../../proto/gen/warren/bus/v1/relay.ts';
import { Failure, messageOf } from '../../lib/failure.ts';
import { brokerAccountOf, type MemberId, shortId } from '../../lib/identity/member-id.ts';
import { introduce, type SealedChannel } from '../../lib/identity/sealed-channel.ts';
import { CallFailure } from '../../lib/rpc/call-failure.ts';
import { type CallOptions, type Client, patienceMs, type ServiceDefinition } from '../../lib/rpc/definition.ts';
import { createClient } from '../calls.ts';
import { rpcKey } from '../own-keys.ts';
import { RelayCalling } from './calling.ts';
import { type Channel, idleMs, openChannel, type RelayNeeds, silentMs } from './channel.ts';
import type { Frame } from './frame.ts';

/** How long a channel may take to open, in milliseconds. */
const openMs = 5_000;

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
