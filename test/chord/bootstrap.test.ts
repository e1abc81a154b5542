import { afterEach, expect, test } from 'vitest';
import { type BootstrapHost, bootstrap } from '../../services/chord/bootstrap.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { createNodes, type LocalNode } from './nodes-in-process.ts';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
});

interface Given {
  /** Whom the directory names; undefined: it does not answer. */
  named?: () => readonly LocalNode[] | undefined;
  /** Who is at which address. */
  at?: Record<string, LocalNode>;
  join?: readonly string[];
}

function memberOf({ host }: LocalNode): MemberId {
  return host.first.node.self.member as MemberId;
}

/** As in a daemon whose directory and dialler are these. */
function start(node: LocalNode, { named = () => [], at = {}, join = [] }: Given): Promise<void> {
  const ending = new AbortController();
  ends.push(() => ending.abort());
  const host = {
    id: memberOf(node),
    bus: { state: 'up' },
    directory: {
      async listPeers() {
        const peers = named()?.map(each => ({ peerId: memberOf(each), username: 'ann', addresses: [] }));
        if (peers === undefined) throw new Error('the directory does not answer');
        return { peers, next: '' };
      },
    },
    async identify(address: string) {
      const there = at[address];
      if (there === undefined) throw new Error('nobody answers there');
      return memberOf(there);
    },
    addresses: () => ['127.0.0.1:1'],
    random: () => 0,
    clock: () => performance.now(),
    warn: () => {},
    log: () => {},
  } as unknown as BootstrapHost;
  return bootstrap(host, node.host, join, ending.signal);
}

function isMember({ host }: LocalNode): boolean {
  return host.first.node.isMember;
}

function headOf({ host }: LocalNode): string | undefined {
  return host.first.node.neighbours.successors[0]?.member;
}

function nodes(count: number): LocalNode[] {
  const made = createNodes();
  ends.push(made.close);
  return Array.from({ length: count }, made.add);
}

test('a node that knows nobody founds a ring, also when the directory does not answer', async () => {
  for (const named of [() => [], () => undefined]) {
    const [node] = nodes(1) as [LocalNode];
    void start(node, { named });
    await expect.poll(() => isMember(node)).toBe(true);
    expect(headOf(node)).toBe(memberOf(node));
  }
});

test('it joins through the members that the directory names', async () => {
  const [first, second] = nodes(2) as [LocalNode, LocalNode];
  await first.host.found();
  await start(second, { named: () => [first, second] });
  expect(headOf(second)).toBe(memberOf(first));
});

test('it joins through an address that is given, though the directory names others, and waits for it if it must', async () => {
  const [first, other, third] = nodes(3) as [LocalNode, LocalNode, LocalNode];
  await other.host.found();
  const at: Record<string, LocalNode> = {};
  const done = start(third, { named: () => [], at, join: ['first:1'] });
  await new Promise(resolve => setImmediate(resolve));
  expect(isMember(third)).toBe(false);
  await first.host.found();
  at['first:1'] = first;
  await done;
  expect(headOf(third)).toBe(memberOf(first));
  expect(headOf(other)).toBe(memberOf(other));
});

test('two that find only each other, still outside, do not wait for ever, and become one ring', async () => {
  const [one, two] = nodes(2) as [LocalNode, LocalNode];
  const named = () => [one, two];
  await Promise.all([start(one, { named }), start(two, { named })]);
  await expect.poll(() => [headOf(one), headOf(two)], { timeout: 20_000 }).toEqual([memberOf(two), memberOf(one)]);
}, 60_000);

test('founded alone while the directory was away, it finds the others once that is back', async () => {
  const [first, second] = nodes(2) as [LocalNode, LocalNode];
  await first.host.found();
  let isAway = true;
  void start(second, { named: () => (isAway ? undefined : [first, second]) });
  await expect.poll(() => isMember(second)).toBe(true);
  expect(headOf(second)).toBe(memberOf(second));
  isAway = false;
  await expect.poll(() => headOf(second), { timeout: 20_000 }).toBe(memberOf(first));
}, 60_000);
