import { expect, test } from 'vitest';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { formatStatus } from '../../services/up/status/format.ts';
import type { SeenMember } from '../../services/up/status/members.ts';
import type { OwnMember } from '../../services/up/status/own-member.ts';
import type { Status } from '../../services/up/status/system-status.ts';

const now = Date.parse('2026-11-26T12:00:00Z');
const id = (digit: string): MemberId => digit.repeat(64) as MemberId;

const ann: SeenMember = {
  ...{ id: id('a'), user: 'ann', services: [], addresses: [], isActive: true, isSelf: true },
  activeSince: '2026-11-26T11:00:00Z',
  joined: '2026-11-20T00:00:00Z',
  certificateEnds: '2027-02-20T00:00:00Z',
  lastSeen: '2026-11-26T12:00:00Z',
  contact: { name: 'laptop', way: 'broker', address: 'broker', latencyMs: 1.234 },
};
const others: SeenMember[] = [
  {
    ...ann,
    ...{ id: id('b'), user: 'a-user-with-a-very-long-name', isSelf: false, services: ['web', 'api'] },
    addresses: ['10.77.0.12:50051'],
    contact: { name: 'a machine with a very long name', way: 'direct', address: '10.77.0.12:50051', latencyMs: 123.4 },
  },
  { ...withoutContact(ann), id: id('c'), isSelf: false, isActive: false, activeSince: undefined },
  {
    ...withoutContact(ann),
    ...{ id: id('d'), isSelf: false, isActive: false, activeSince: undefined, lastSeen: undefined },
  },
  { ...withoutContact(ann), id: id('e'), isSelf: false, problem: 'nobody listens at that address' },
];

function withoutContact({ contact: _, ...rest }: SeenMember): SeenMember {
  return rest;
}

const own: OwnMember = {
  ...{ id: id('a'), user: 'ann', services: ['web'], certificateEnds: '2027-02-20T00:00:00Z', revoked: undefined },
  broker: { at: 'amqps://broker.example.org:5671', latencyMs: 1.26 },
  directory: { at: 'amqps://broker.example.org:5671', latencyMs: 1.26 },
  daemon: {
    ...{ name: 'laptop', pid: 12_345, uptimeMs: 7_300_000, grpcAddress: '*:50051', advertised: ['10.77.0.11:50051'] },
    ...{ connectedMembers: 1, parts: [{ name: 'files', lines: ['12 files shared', '1 download'] }] },
  },
  proxies: [
    {
      ...{ proxy: 'f'.repeat(32), requestsPerSecond: 12.34, p99Ms: 4.56 },
      services: [{ service: 'web', queued: 0, liveWorkers: 3 }],
    },
  ],
  members: [ann, ...others],
};

const nothing: Status = {
  ...{ broker: undefined, proxy: undefined, directory: undefined, members: undefined, member: undefined },
};

test('what a member sees, in 80 columns', () => {
  const text = formatStatus({ ...nothing, member: own, members: own.members }, now);
  expect(text).toBe(`this one   aaaaaaaaaaaa, one of ann, may serve web; certificate until 2027-02-20
broker     amqps://broker.example.org:5671 in 1.3 ms
directory  answers over the broker in 1.3 ms
daemon     laptop, process 12345, for 2 h, 1 member connected
           serves members on *:50051, known as 10.77.0.11:50051
files      12 files shared
           1 download
proxy      fffffffffff…, 12.3/s, p99 4.6 ms; web: 0 queued, 3 workers

member        user          name          state                   latency  way
aaaaaaaaaaaa  ann           laptop        active for 60 min       1.2 ms   this one
bbbbbbbbbbbb  a-user-with…  a machine w…  active for 60 min       123 ms   direct
              may serve web, api; at 10.77.0.12:50051
cccccccccccc  ann           -             seen 2026-11-26 12:00Z  -        -
dddddddddddd  ann           -             never seen              -        -
eeeeeeeeeeee  ann           -             active for 60 min       -        -
              nobody listens at that address
`);
});

test('what is down is one line each, and the rest is there', () => {
  const down = {
    ...own,
    revoked: '2026-11-26T11:58:07Z',
    broker: { problem: 'cannot reach the broker at amqp://b:5672: no connection within 3 s' },
    directory: { problem: 'not known while the broker cannot be reached' },
    daemon: { problem: 'no member runs here: warren member' },
    proxies: undefined,
    members: { problem: 'not known while the broker cannot be reached' },
  };
  expect(formatStatus({ ...nothing, member: down, members: down.members }, now)).toBe(
    `this one   aaaaaaaaaaaa, one of ann, may serve web; certificate until 2027-02-20
this machine was revoked on 2026-11-26 11:58Z: it is no member any more
broker     cannot reach the broker at amqp://b:5672: no connection within 3 s
directory  not known while the broker cannot be reached
daemon     no member runs here: warren member

members    not known while the broker cannot be reached
`,
  );
  const directory = {
    at: undefined,
    latencyMs: undefined,
    problem: 'no directory runs for /d',
    accounts: 1,
    sessions: 2,
  };
  const here: Status = {
    ...nothing,
    broker: { problem: 'the broker is away' },
    proxy: { problem: 'the proxy is away' },
    directory,
    members: [],
  };
  expect(formatStatus(here, now)).toBe(
    'the broker is away\n\nthe proxy is away\nno directory runs for /d\ndirectory  1 account, 2 sessions\n\nno members\n',
  );
});

test('a queue with a long name does not break the table', () => {
  const queue = {
    type: 'classic',
    ready: 1_000_000,
    unacked: 1_024,
    consumers: 1,
    inRate: 12_345.6,
    outRate: 12_345.6,
  };
  const broker = { product: 'RabbitMQ', version: '4.0.5', at: 'http://b:15672', connections: 12, alarm: undefined };
  const text = formatStatus({ ...nothing, broker: { ...broker, queues: [{ ...queue, name: 'x'.repeat(90) }] } }, now);
  expect(text).toContain(`\n${'x'.repeat(30)}…  classic  1000000     1024          1  12345.6  12345.6\n`);
});
