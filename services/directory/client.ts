import { DirectoryServiceDefinition } from '../../proto/gen/warren/directory/v1/directory.ts';
import type { Bus } from '../bus/bus.ts';
import { type Client, createClient } from '../bus/calls.ts';

export type DirectoryClient = Client<typeof DirectoryServiceDefinition>;

/** The directory, called over the bus. @param bus of any role that may publish to `m` and bind its own queue to it */
export function directoryClient(bus: Bus): DirectoryClient {
  return createClient(bus, 'directory.rpc', DirectoryServiceDefinition);
}
