import type { ShownMember } from '../../services/directory/member-list.ts';
import { until } from '../support/until.ts';
import type { Project } from './project.ts';

export const memberServices = ['member-1', 'member-2', 'member-3'] as const;

/** What `warren members list` says, in the order of their users. */
export async function listMembers(project: Project): Promise<ShownMember[]> {
  const text = await project.exec('directory', 'warren', 'members', 'list', '--json');
  const members = JSON.parse(text) as ShownMember[];
  return members.sort((a, b) => (a.user < b.user ? -1 : 1));
}

/** Waits until that many are active. */
export function activeMembers(project: Project, count: number, withinMs = 60_000): Promise<ShownMember[]> {
  return until(
    () => listMembers(project).catch(() => []),
    members => members.filter(({ isActive }) => isActive).length === count,
    withinMs,
  );
}

export interface DaemonSaid {
  readonly memberId: string;
  readonly name: string;
  readonly advertised: readonly string[];
  readonly connectedMembers: number;
  readonly broker: { readonly up: boolean; readonly reason: string };
  readonly directory: { readonly up: boolean };
}

const asked = `
import { connectToDaemon } from '/app/dist/services/lib/rpc/local-daemon.js';
import { MemberServiceDefinition } from '/app/dist/proto/gen/warren/member/v1/member.js';
const daemon = await connectToDaemon('/data');
const said = await daemon.client(MemberServiceDefinition).status({});
console.log(JSON.stringify(said, (_, value) => (typeof value === 'bigint' ? Number(value) : value)));
daemon.close();
`;

/** What a member's daemon tells its owner. */
export async function daemonOf(project: Project, service: string): Promise<DaemonSaid> {
  return JSON.parse(await project.exec(service, 'node', '--input-type=module', '--eval', asked));
}

const dials = `
import { readFileSync } from 'node:fs';
import { ContactServiceDefinition } from '/app/dist/proto/gen/warren/member/v1/member.js';
import { openGrpc } from '/app/dist/services/lib/rpc/grpc-client.js';
import { memberChannelCredentials, memberChannelOptions } from '/app/dist/services/lib/rpc/member-tls.js';
const [address, id] = process.argv.slice(1);
const { authorityCertificate, certificate } = JSON.parse(readFileSync('/data/member/membership.json', 'utf8'));
const key = readFileSync('/data/member/key.pem', 'utf8');
const own = { authorityCertificate, certificate, key };
const connection = openGrpc(address, memberChannelCredentials(own, id), memberChannelOptions);
console.log(JSON.stringify(await connection.client(ContactServiceDefinition).ping({}, { deadlineMs: 5000 })));
connection.close();
`;

/** A call from one member to another, straight to its address on the network, with the key and certificate that it has. */
export async function dial(
  project: Project,
  from: string,
  to: Pick<DaemonSaid, 'memberId' | 'advertised'>,
): Promise<{ memberId: string; name: string; callerId: string }> {
  const [address = ''] = to.advertised;
  return JSON.parse(await project.exec(from, 'node', '--input-type=module', '--eval', dials, address, to.memberId));
}
