import { ContactServiceDefinition } from '../../proto/gen/warren/member/v1/member.ts';
import type { Bus } from '../bus/bus.ts';
import { createClient } from '../bus/calls.ts';
import { rpcKey } from '../bus/own-keys.ts';
import { pause } from '../lib/pause.ts';
import type { ReachRecord } from './reach.ts';

const everyMs = 5_000;
/** Until the first answer: our own queue comes a moment after the connection. */
const soonMs = 250;

/** Keeps the record of the broker: its state as the bus knows it, and how long a call to ourselves through it takes. */
export function watchBroker(
  bus: Bus,
  { reach, clock }: { reach: ReachRecord; clock: () => number },
): { close(): Promise<void> } {
  const ending = new AbortController();
  const self = createClient(bus, rpcKey(bus.user), ContactServiceDefinition, { from: bus.user });
  const enter = (): void => {
    if (bus.state === 'up') reach.reached();
    else reach.lost(bus.reason);
  };
  const offState = bus.onState(enter);
  enter();
  const loop = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      let waitMs = soonMs;
      if (bus.state === 'up') {
        const sentAt = clock();
        try {
          await self.ping({}, { deadlineMs: everyMs, signal: ending.signal });
          reach.reached(clock() - sentAt);
          waitMs = everyMs;
        } catch {
          // Frozen, or not serving yet. The bus itself notices a broker that is gone.
        }
      }
      await pause(waitMs, ending.signal);
    }
  };
  const running = loop();
  return {
    async close() {
      offState();
      ending.abort();
      await running;
    },
  };
}
