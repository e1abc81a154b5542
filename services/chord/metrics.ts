import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { RingView } from '../../proto/gen/warren/chord/v1/chord.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { OwnerHandlers } from './chord-service.ts';

const measured = ['show', 'lookup', 'put', 'get', 'remove', 'provide', 'withdraw', 'providers'] as const;

/** A node's figures for Prometheus. */
export class RingMetrics {
  readonly registry = new Registry();
  readonly #operations: Counter<'operation' | 'code'>;
  readonly #seconds: Histogram<'operation'>;
  readonly #hops: Histogram;
  readonly #silent: Counter;

  constructor(view: () => RingView) {
    const registers = [this.registry];
    const gauge = (name: string, help: string, read: () => number): void => {
      new Gauge({
        ...{ name, help, registers },
        collect() {
          this.set(read());
        },
      });
    };
    gauge('warren_ring_member', '1 while the node is in a ring', () => Number(view().isMember));
    gauge('warren_ring_safe', '1 while it knows enough others to survive failures', () => Number(view().isSafe));
    gauge('warren_ring_known_members', 'Nodes of its successor list, itself included', () => view().known);
    gauge('warren_ring_records', 'Records held', () => view().records);
    gauge('warren_ring_octets', 'Octets of their values', () => view().octets);
    this.#operations = new Counter({
      ...{ name: 'warren_ring_operations_total', help: 'What its owner asked, by how it ended (OK or a code)' },
      ...{ labelNames: ['operation', 'code'], registers },
    });
    this.#seconds = new Histogram({
      ...{ name: 'warren_ring_operation_seconds', help: 'How long it took', labelNames: ['operation'], registers },
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    });
    this.#silent = new Counter({
      ...{
        name: 'warren_ring_silent_calls_total',
        help: 'Calls to other nodes that were not answered in time',
        registers,
      },
    });
    this.#hops = new Histogram({
      ...{ name: 'warren_ring_lookup_hops', help: 'Nodes that answered on the way of a lookup, the owner included' },
      ...{ buckets: [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16], registers },
    });
  }

  silent(): void {
    this.#silent.inc();
  }

  /** The same handlers, measured. */
  measure(handlers: OwnerHandlers): OwnerHandlers {
    const wrapped = measured.map(operation => {
      const handler = handlers[operation] as (request: never, caller: never) => Promise<object>;
      const act = async (request: never, caller: never): Promise<object> => {
        const end = this.#seconds.startTimer({ operation });
        let code = 'OK';
        try {
          const answer = await handler(request, caller);
          if ('hops' in answer && Array.isArray(answer.hops))
            this.#hops.observe(answer.hops.filter((hop: { isSilent: boolean }) => !hop.isSilent).length);
          return answer;
        } catch (error) {
          code = error instanceof CallFailure ? error.code : 'CALL_INTERNAL';
          throw error;
        } finally {
          end();
          this.#operations.inc({ operation, code });
        }
      };
      return [operation, act];
    });
    return { ...handlers, ...Object.fromEntries(wrapped) };
  }
}
