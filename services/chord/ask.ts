import type { Peer } from './peer.ts';
import type { RingCall, RingCalls, RingClock, RingTransport } from './ports.ts';

/** @returns undefined when nothing came in time, or the node is no member: it is as good as dead */
export type Ask = <K extends RingCall>(
  to: Peer,
  call: K,
  request: RingCalls[K]['request'],
  /** Each with its own time; the answer to an earlier one is dropped. 1 unless told. */
  tries?: number,
) => Promise<RingCalls[K]['reply'] | undefined>;

/** Calls with a deadline, on the node's own clock whatever the transport does. */
export function createAsk(transport: RingTransport, clock: RingClock, timeoutMs: number): Ask {
  function once<K extends RingCall>(
    to: Peer,
    call: K,
    request: RingCalls[K]['request'],
  ): Promise<RingCalls[K]['reply'] | undefined> {
    return new Promise(resolve => {
      const cancel = clock.after(timeoutMs, () => resolve(undefined));
      const settle = (reply: RingCalls[K]['reply'] | undefined): void => {
        cancel();
        resolve(reply);
      };
      transport.call(to, call, request, timeoutMs).then(settle, () => settle(undefined));
    });
  }
  return async (to, call, request, tries = 1) => {
    for (let left = tries; ; left--) {
      const reply = await once(to, call, request);
      if (reply !== undefined || left <= 1) return reply;
    }
  };
}
