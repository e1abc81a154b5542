import { messageOf } from '../../lib/failure.ts';
import type { MemberKeys } from '../../lib/identity/keys.ts';
import { brokerAccountOf, type MemberId, shortId } from '../../lib/identity/member-id.ts';
import type { SealedChannel } from '../../lib/identity/sealed-channel.ts';
import type { Bus, Consumer, Delivery } from '../bus.ts';
import type { SendFrame } from './calling.ts';
import { decodeFrame, encodeFrame, type Frame } from './frame.ts';

/** How often both sides look, in milliseconds. */
export const aliveMs = 5_000;
/** After which the other side is gone, if there is something to wait for; and how long a channel may be idle. */
export const silentMs = 15_000;
export const idleMs = 60_000;

export interface RelayNeeds {
  /** With the member's own account. */
  readonly bus: Bus;
  readonly keys: MemberKeys;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  readonly warn: (line: string) => void;
}

/** One channel's end in this process: its queue, its frames sealed and opened, its timer. */
export interface Channel {
  readonly send: SendFrame;
  /** Sends nothing more, and takes nothing more. */
  close(): void;
}

export interface ChannelEvents {
  readonly receive: (frame: Frame) => void;
  /** Each few seconds; told how long nothing has come, in milliseconds. */
  readonly tick: (silentFor: number) => void;
  /** When it broke or the broker went; not after `close`, which is called if it is not there. */
  readonly broken: (why: string) => void;
}

/** @param sealed made before anything can come: both sides know it when the first frame is on its way */
export async function openChannel(
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
