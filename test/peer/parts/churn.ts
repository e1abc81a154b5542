import { createHash } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Transfer } from '../../../proto/gen/warren/peer/v1/peer.ts';
import type { ContentId } from '../../../services/peer/merkle.ts';
import type { Network } from '../../directory/network-of-processes.ts';
import { seededRandom } from '../../support/seeded.ts';
import { until } from '../../support/until.ts';
import { sampleContent } from './content.ts';
import { done, type Member, sha256Of, startMembers } from './member.ts';

export interface ChurnPlan {
  readonly seed: number;
  readonly files: number;
  readonly mostBytes: number;
  readonly forMs: number;
  /** Twice the lease, and what else it takes here. */
  readonly settleMs: number;
}

interface Shared {
  readonly id: ContentId;
  readonly name: string;
  readonly sha256: string;
}

/**
 * Five members have files among them and pull others', while members, the directory and the broker are killed and come back. Whatever was
 * asked for and is asked for again in the end is there, byte for byte; what failed said why; nothing else lies under a final name; and the
 * directory knows who has what.
 */
export async function churn(network: Network, { seed, files, mostBytes, forMs, settleMs }: ChurnPlan): Promise<void> {
  const random = seededRandom(seed);
  const below = (most: number): number => Math.floor(random() * most);
  const members = await startMembers(network, 'ann', 'bob', 'cid', 'dan', 'eve');
  const of = (at: number): Member => members[at % members.length] as Member;
  try {
    const shared: Shared[] = [];
    for (let at = 0; at < files; at++) {
      // Many small ones, few large.
      const length = at < 3 ? [0, 1, mostBytes][at] : Math.floor(mostBytes * random() ** 6);
      const { bytes, id } = sampleContent(length ?? 0, seed * 1_000 + at);
      const name = `${below(4)}/file ${at}.bin`;
      const owner = of(below(members.length));
      await mkdir(join(owner.share, name.slice(0, 1)), { recursive: true });
      await writeFile(join(owner.share, name), bytes);
      shared.push({ id, name, sha256: createHash('sha256').update(bytes).digest('hex') });
    }
    const isAnnounced = async (): Promise<number> =>
      (await holdersOf(members, shared)).filter(({ size }) => size > 0).length;
    await until(isAnnounced, count => count === shared.length, 120_000);

    const asked = new Map<string, { member: Member; file: Shared }>();
    const ends: Transfer[] = [];
    const running = new Set<Promise<void>>();
    const get = (): void => {
      const [member, file] = [of(below(members.length)), shared[below(shared.length)]];
      if (file === undefined) return;
      asked.set(`${member.id} ${file.id}`, { member, file });
      // One that is killed meanwhile tells nothing.
      const act = member.get(file.id).then(
        end => void ends.push(end),
        () => {},
      );
      running.add(act);
      void act.finally(() => running.delete(act));
    };
    const down = new Set<unknown>();
    const killed = async (
      what: unknown,
      kill: () => PromiseLike<unknown>,
      start: () => PromiseLike<unknown>,
    ): Promise<void> => {
      if (down.has(what)) return;
      down.add(what);
      const forMs = 500 + below(1_500);
      await kill();
      await wait(forMs);
      await start();
      down.delete(what);
    };
    const kills = new Set<Promise<void>>();
    for (const end = performance.now() + forMs; performance.now() < end; await wait(50 + below(200))) {
      const dice = below(100);
      if (dice < 85) get();
      else {
        const member = of(below(members.length));
        const kill =
          dice < 95
            ? killed(
                member,
                () => member.kill(),
                () => member.start(),
              )
            : dice < 98
              ? killed(
                  network,
                  () => network.directory[Symbol.asyncDispose](),
                  () => network.startDirectory(),
                )
              : killed(
                  network.broker,
                  () => network.broker.kill(),
                  () => network.broker.start(),
                );
        kills.add(kill);
      }
    }
    await Promise.all(kills);

    for (const { state, reason, detail } of ends)
      if (state !== done.state)
        expect({ reason, detail }).toEqual({ reason: expect.stringMatching(/./), detail: expect.stringMatching(/./) });
    for (const { member, file } of asked.values()) {
      const got = await member.get(file.id);
      expect(got, `${file.name} seed ${seed}`).toMatchObject(done);
      expect(await sha256Of(join(member.share, got.path))).toBe(file.sha256);
    }
    await Promise.all(running);
    const known = new Set(shared.map(({ sha256 }) => sha256));
    const truth = new Map<string, Set<string>>(shared.map(({ sha256 }) => [sha256, new Set()]));
    for (const member of members)
      for (const path of await readdir(member.share, { recursive: true, withFileTypes: true })) {
        const at = join(path.parentPath, path.name);
        if (!path.isFile() || at.includes('/.warren/')) continue;
        const hash = await sha256Of(at);
        expect(known.has(hash), at).toBe(true);
        truth.get(hash)?.add(member.id);
      }
    const isTrue = async (): Promise<string[]> => {
      const holders = await holdersOf(members, shared);
      return shared.flatMap(({ name, sha256 }, at) => {
        const [said, real] = [[...(holders[at] ?? [])].sort().join(), [...(truth.get(sha256) ?? [])].sort().join()];
        return said === real ? [] : [`${name}: the directory says ${said}, and it is ${real}`];
      });
    };
    await until(isTrue, wrong => wrong.length === 0, settleMs);
  } finally {
    await Promise.all(members.map(member => member.kill()));
  }
}

/** Whom the directory names to two of them, of whom it does not name the asker. */
async function holdersOf(members: readonly Member[], shared: readonly Shared[]): Promise<Set<string>[]> {
  const [one, other] = members;
  return Promise.all(
    shared.map(async ({ id }) => {
      const answers = await Promise.all(
        [one, other].map(each => each?.peer.locate({ fileId: id }).catch(() => undefined)),
      );
      return new Set(answers.flatMap(answer => (answer?.holders ?? []).map(({ memberId }) => memberId)));
    }),
  );
}
