import type { RingTransport } from '../../../services/chord/ports.ts';
import { peerOf } from '../../../services/chord/wire.ts';
import { EventQueue } from '../simulation/event-queue.ts';
import { Network } from '../simulation/network.ts';
import { transportCompliance } from './compliance.ts';

transportCompliance("the simulator's network", async answer => {
  const queue = new EventQueue();
  const network = new Network(queue, { delay: () => 5, isLost: () => false, isDoubled: () => false });
  const [caller, called, absent] = ['1', '2', '3'].map(digit => digit.repeat(64)) as [string, string, string];
  for (const index of [0, 1, 2])
    network.start(peerOf(called, index, '').id, (call, request, from) => answer(index, call, request, from));
  let calls = 0;
  return {
    ...{ caller, called, absent, address: '' },
    transportOf(self): RingTransport {
      const transport = network.transportOf(self);
      return {
        // Its callers have a clock of their own; here it is the network's.
        call: async (to, call, request, timeoutMs) => {
          calls++;
          let isOver = false;
          const late = new Promise<never>((_, reject) => queue.after(timeoutMs, () => reject(new Error('silent'))));
          const reply = Promise.race([transport.call(to, call, request, timeoutMs), late]).finally(() => {
            isOver = true;
            calls--;
          });
          reply.catch(() => {});
          if (calls === 1) setImmediate(() => void queue.runWhile(() => !isOver || calls > 0));
          return reply;
        },
      };
    },
    close: async () => {},
  };
});
