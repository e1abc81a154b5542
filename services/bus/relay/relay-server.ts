import { RelayServiceDefinition } from '../../../proto/gen/warren/bus/v1/relay.ts';
import { messageOf } from '../../lib/failure.ts';
import type { MemberId } from '../../lib/identity/member-id.ts';
import { answer } from '../../lib/identity/sealed-channel.ts';
import { CallFailure, callStatus } from '../../lib/rpc/call-failure.ts';
import { type Served, served } from '../../lib/rpc/definition.ts';
import { aliveMs, type Channel, idleMs, openChannel, type RelayNeeds, silentMs } from './channel.ts';
import { RelayServing, relayMethods } from './serving.ts';

/** Of one member; and of all. */
const channelsOfOne = 8;
const channelsAtOnce = 256;

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
