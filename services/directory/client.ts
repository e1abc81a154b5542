import { DirectoryServiceDefinition } from '../../proto/gen/warren/directory/v1/directory.ts';
import { EnrolmentServiceDefinition } from '../../proto/gen/warren/directory/v1/enrolment.ts';
import { MembershipServiceDefinition } from '../../proto/gen/warren/directory/v1/membership.ts';
import type { Bus } from '../bus/bus.ts';
import { createClient } from '../bus/calls.ts';
import type { UnaryClient } from '../lib/rpc/definition.ts';

export { announcementOf, deltasOf, snapshotOf } from './announcement.ts';
export { signedLogin } from './member-proof.ts';

export type DirectoryClient = UnaryClient<typeof DirectoryServiceDefinition>;

/**
 * The directory, called over the bus.
 * @param bus of any role that may publish to `m` and bind its own queue to it
 * @param options `from`: the directory's broker account, whose answers alone count
 */
export function directoryClient(bus: Bus, options: { from?: string } = {}): DirectoryClient {
  return createClient(bus, 'directory.rpc', DirectoryServiceDefinition, options);
}

export type MembershipClient = UnaryClient<typeof MembershipServiceDefinition>;

/** What members ask for themselves. @param options as of `directoryClient` */
export function membershipClient(bus: Bus, options: { from?: string } = {}): MembershipClient {
  return createClient(bus, 'directory.rpc', MembershipServiceDefinition, options);
}

export type EnrolmentClient = UnaryClient<typeof EnrolmentServiceDefinition>;

/** @param bus with the account of an invite, which can do nothing else @param options as of `directoryClient` */
export function enrolmentClient(bus: Bus, options: { from?: string } = {}): EnrolmentClient {
  return createClient(bus, 'directory.enrol', EnrolmentServiceDefinition, options);
}
