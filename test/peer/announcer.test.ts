import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { announcementOf, deltasOf, snapshotOf } from '../../services/directory/client.ts';
import { createMemberKeys } from '../../services/lib/identity/keys.ts';
import { Announcer } from '../../services/peer/announcer.ts';
import { ContentIndex } from '../../services/peer/content-index.ts';

test('a directory that has no room for all is told all ever more rarely, and the owner why, once', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  const dir = mkdtempSync(join(tmpdir(), 'warren-announcer-'));
  const index = new ContentIndex(dir);
  index.transaction(() => index.setFile('a', { length: 0, stamp: 'x', modifiedMs: 0, leaves: new Uint8Array() }));
  const warnings: string[] = [];
  let snapshots = 0;
  const refused = 'a peer may share 200000 files';
  const host = {
    bus: { state: 'up', ready: async () => {}, publish: async () => {} },
    directory: { ping: async () => ({ leaseMs: 0, index: { counter: 1, files: 0, refused } }) },
    ...{ keys: createMemberKeys(), random: Math.random, clock: () => performance.now() },
    ...{ warn: (line: string) => warnings.push(line), session: { isLoggedIn: () => true } },
  } as unknown as ConstructorParameters<typeof Announcer>[0]['host'];
  const counted: typeof snapshotOf = (counter, files) => {
    snapshots++;
    return snapshotOf(counter, files);
  };
  const announcing = { announcementOf, deltasOf, snapshotOf: counted };
  const announcer = new Announcer({ host, index, announcing, isSettled: () => true });
  onTestFinished(async () => {
    await announcer.close();
    vi.useRealTimers();
    index.close();
    rmSync(dir, { recursive: true });
  });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(snapshots).toBe(1);
  await vi.advanceTimersByTimeAsync(3_600_000);
  // After 1, 3, 7, 15 and 31 minutes.
  expect(snapshots).toBe(6);
  expect(warnings).toEqual([`files: the directory does not know all that is shared: it refused something: ${refused}`]);
});
