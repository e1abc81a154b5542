import type { HealthDefinition } from '../../proto/gen/grpc/health/v1/health.ts';
import { HealthCheckResponse_ServingStatus as status } from '../../proto/gen/grpc/health/v1/health.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { Handlers } from '../lib/rpc/definition.ts';

/**
 * gRPC's own health service: whoever is served at all is served well, until the daemon ends.
 * @param services full names of those served; the empty name is the server as a whole
 * @param ending aborts when the daemon begins to end
 */
export function createHealth(services: readonly string[], ending: AbortSignal): Handlers<typeof HealthDefinition> {
  const known = new Set(['', ...services]);
  const now = () => ({ status: ending.aborted ? status.NOT_SERVING : status.SERVING });
  return {
    async check({ service }) {
      if (!known.has(service))
        throw new CallFailure(
          'NOT_FOUND',
          'HEALTH_SERVICE',
          `no service ${JSON.stringify(service.slice(0, 100))} here`,
        );
      return now();
    },
    async *watch({ service }, { signal }) {
      const isKnown = known.has(service);
      yield isKnown ? now() : { status: status.SERVICE_UNKNOWN };
      const either = AbortSignal.any([signal, ending]);
      if (!either.aborted) await new Promise(resolve => either.addEventListener('abort', resolve, { once: true }));
      if (!signal.aborted && isKnown) yield now();
    },
  };
}
