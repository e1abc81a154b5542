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
const { authorityCertificate, certificate } = JSON.parse(readFileSync('/data/member/membership.json', 'utf8'));
const key = readFileSync('/data/member/key.pem', 'utf8');
const own = { authorityCertificate, certificate, key };
const answers = [];
try {
  for (const { memberId, advertised } of JSON.parse(process.argv[1])) {
    const credentials = memberChannelCredentials(own, memberId);
    const connection = openGrpc(advertised[0], credentials, memberChannelOptions);
    answers.push(await connection.client(ContactServiceDefinition).ping({}, { deadlineMs: 5000 }));
    connection.close();
  }
  console.log(JSON.stringify(answers));
} catch (error) {
  console.error(error.message.replaceAll('\\n', ' '));
  process.exit(1);
}
`;

/** Calls from one member to others, straight to their addresses on the network, with the key and certificate that it has. */
export async function dial(
  project: Project,
  from: string,
  others: readonly Pick<DaemonSaid, 'memberId' | 'advertised'>[],
): Promise<{ memberId: string; name: string; callerId: string }[]> {
  const given = JSON.stringify(others);
  return JSON.parse(await project.exec(from, 'node', '--input-type=module', '--eval', dials, given));
}
