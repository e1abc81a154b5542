import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { SourceState } from '../../proto/gen/warren/peer/v1/peer.ts';
import { randomHex } from '../../services/lib/random.ts';
import { temporaryDir } from '../support/broker.ts';
import { createHosts, type Hosts, whyNoHosts } from '../support/hosts.ts';
import { spawnWarren } from '../support/warren-process.ts';
import { sampleContent } from './parts/content.ts';
import { bytesFrom, done, Member, seen, sha256Of } from './parts/member.ts';

const MiB = 2 ** 20;
const why = await whyNoHosts();

/** A broker and a directory on host 0. */
async function startHub(hosts: Hosts): Promise<{ invite(): Promise<string> }> {
  const [dir, password] = [await temporaryDir(), randomHex(32)];
  const begin = async (argv: readonly string[]) => {
    const process = await spawnWarren(argv, { WARREN_BROKER_PASSWORD: password }, hosts.on(0));
    onTestFinished(() => process[Symbol.asyncDispose]());
    return process;
  };
  const broker = await begin(['broker', '--host', hosts.address(0), '--data', dir, '--user', 'test']);
  await broker.line(/15672/);
  const flags = [
    ...['--data', dir, '--broker', `amqp://test:${password}@${hosts.address(0)}`],
    ...['--broker-http', `http://test:${password}@127.0.0.1:15672`],
  ];
  const directory = await begin(['directory', ...flags, '--directory-port', '0']);
  await directory.line(/^directory is up$/);
  return {
    async invite() {
      const inviting = await begin(['invite', ...flags]);
      if ((await inviting.exit) !== 0) throw new Error(inviting.lines.join('\n'));
      return inviting.lines.find(line => line.includes('warren')) ?? inviting.lines[0] ?? '';
    },
  };
}

test.skipIf(why !== undefined)(
  `without a way between them it goes through the broker and is said to; when there is a way, that takes over ${why ?? ''}`,
  async () => {
    const hosts = await createHosts(3);
    onTestFinished(() => hosts[Symbol.asyncDispose]());
    await Promise.all([1, 2].map(host => hosts.isolate(host)));
    const hub = await startHub(hosts);
    const begin = async (user: string, host: number): Promise<Member> =>
      (await Member.join(hub, user, hosts.on(host))).start([], hosts.on(host));
    const [ann, bob] = await Promise.all([begin('ann', 1), begin('bob', 2)]);
    const size = 20 * MiB + 1;
    await writeFile(join(ann.share, 'far.bin'), sampleContent(size, 7).bytes);
    const got = await bob.get(await bob.finds('far'));
    expect(got).toMatchObject({
      ...done,
      verified: size,
      sources: [{ memberId: ann.id, isRelayed: true, bytes: size }],
    });
    expect(await sha256Of(join(bob.share, 'far.bin'))).toBe(await sha256Of(join(ann.share, 'far.bin')));
    // An offer goes that way too.
    await writeFile(join(bob.share, 'back.bin'), sampleContent(3 * MiB, 8).bytes);
    await ann.finds('back');
    expect(await bob.put('back.bin', [ann.id])).toMatchObject({ ...done, sources: [{ isRelayed: true }] });

    await writeFile(join(ann.share, 'near.bin'), sampleContent(size, 9).bytes);
    const id = await bob.finds('near');
    await ann.peer.setLimits({ up: BigInt(MiB) });
    const moving = bob.peer.get({ what: id, to: '', from: [] });
    const isMoving = (
      { sources: [source] }: { sources: { state: number; isRelayed: boolean }[] },
      isRelayed: boolean,
    ) => source?.state === SourceState.SOURCE_STATE_MOVING && source.isRelayed === isRelayed;
    const relayed = await seen(moving, view => isMoving(view, true) && bytesFrom(view, ann) > MiB / 2);
    expect(relayed.verified).toBeLessThan(size);
    await hosts.admit(1);
    await hosts.admit(2);
    const direct = await seen(bob.peer.get({ what: id, to: '', from: [] }), view => isMoving(view, false));
    expect(direct.verified).toBeLessThan(size);
    await ann.peer.setLimits({ up: 0n });
    expect(await bob.get(id)).toMatchObject({ ...done, sources: [{ memberId: ann.id, isRelayed: false }] });
    expect(await sha256Of(join(bob.share, 'near.bin'))).toBe(await sha256Of(join(ann.share, 'near.bin')));
  },
  120_000,
);
