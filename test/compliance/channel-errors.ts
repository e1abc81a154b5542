import { expect, test } from 'vitest';
import { uniqueName } from '../support/broker.ts';
import { openPeer } from './clients.ts';
import type { MethodName } from './wire/methods.ts';
import type { Peer } from './wire/peer.ts';

export interface ChannelError {
  readonly when: string;
  /** The last thing done is refused. `q` and `x` are names that nobody has used. */
  readonly act: (peer: Peer, q: string, x: string) => unknown;
  readonly code: number;
  readonly text: (q: string, x: string) => string;
  readonly method: MethodName;
}

/** Declares a test for each: that it closes the channel with exactly this, and nothing but the channel. */
export function channelErrors(cases: readonly ChannelError[]): void {
  test.for(cases)('$when: $code for $method', async ({ act, code, text, method }) => {
    const peer = await openPeer();
    await peer.openChannel(2);
    const q = uniqueName('refused');
    const x = uniqueName('refused');
    await act(peer, q, x);
    expect(await peer.refusal(1)).toEqual({ scope: 'channel', code, text: text(q, x), method });
    // The connection, its other channels and the same number again are as good as before.
    await peer.call(2, 'queue.declare', { exclusive: true });
    await peer.openChannel(1);
  });
}
