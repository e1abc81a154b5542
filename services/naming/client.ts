import { NamingServiceDefinition } from '../../proto/gen/warren/naming/v1/naming.ts';
import type { Bus } from '../bus/bus.ts';
import { createClient } from '../bus/calls.ts';
import type { UnaryClient } from '../lib/rpc/definition.ts';

/** All methods but `watch`, whichever way they go: over the bus (`namingClient`) or over REST (`restNamingClient`). */
export type NamingClient = UnaryClient<typeof NamingServiceDefinition>;

/**
 * Naming, called over the bus.
 * @param bus of any role that may publish to `m` and bind its own queue to it
 * @param options `from`: naming's broker account, whose answers alone count
 */
export function namingClient(bus: Bus, options: { from?: string } = {}): NamingClient {
  return createClient(bus, 'naming.rpc', NamingServiceDefinition, options);
}
