import { chmod, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test } from 'vitest';
import { maxLatents, maxNamesOfOne } from '../../services/naming/name-table.ts';
import { NamingStore } from '../../services/naming/store.ts';
import { keepToken } from '../../services/naming/token.ts';
import { temporaryDir } from '../support/broker.ts';
import { calling, leaseMs, member, namingIn, World } from './naming-under-test.ts';

const name = 'backend.com';
const [ann, bob] = [member(1), member(2)];
const held = (epoch: number, more: object = {}) => ({
  ...{ name, memberId: '', addresses: ['10.0.0.1:1'], epoch, migrationId: `m${epoch}`, logOffset: 0 },
  ...more,
});
const latent = (more: object = {}) => ({
  ...{ name, memberId: '', addresses: [], logOffset: 3, isDraining: false },
  ...more,
});

async function start(world = new World(), dir?: string) {
  const made = namingIn(dir ?? (await temporaryDir()), world);
  onTestFinished(() => made[Symbol.dispose]());
  return { ...made, world, members: made.naming.members, operator: made.naming.operator };
}

describe('what has been answered', () => {
  test('is there after a restart, whatever was being done, and leases begin anew', async () => {
    const dir = await temporaryDir();
    const { members } = await start(new World(), dir);
    await members.register(held(3, { logOffset: 5 }), calling(ann));
    await members.registerLatent(latent(), calling(bob));
    await members.renew({ name, memberId: '', epoch: 0, logOffset: 4, isDraining: true }, calling(bob));
    const { record: before } = await members.resolve({ name }, calling(ann));
    // Not closed: as after kill -9.
    const again = await start(new World(), dir);
    again.world.clock = 0;
    expect((await again.members.resolve({ name }, calling(ann))).record).toEqual(before);
    again.world.clock = leaseMs;
    again.table.sweep();
    expect((await again.members.resolve({ name }, calling(ann))).record).toMatchObject({
      ...{ epoch: 3, memberId: ann, logOffset: 5, leaseLeftMs: 0, latentCount: 0 },
    });
    const third = await start(new World(), dir);
    expect((await third.members.resolve({ name }, calling(ann))).record?.latentCount).toBe(0);
    await expect(third.members.register(held(2), calling(bob))).rejects.toMatchObject({ code: 'NAMING_EPOCH' });
  });

  test('is on the disk: an answer is given only once it could be written', async () => {
    const { members, store, warned, table } = await start();
    await members.register(held(1), calling(ann));
    const told: string[] = [];
    table.onChange(({ kind }) => told.push(kind));
    store.write = () => {
      throw new Error('the disk is full');
    };
    await expect(members.register(held(2), calling(bob))).rejects.toMatchObject({
      ...{ status: 'UNAVAILABLE', code: 'NAMING_STORE', message: 'cannot be written now: try again' },
    });
    expect((await members.resolve({ name }, calling(bob))).record).toMatchObject({ epoch: 1, memberId: ann });
    expect(told).toEqual([]);
    expect(warned).toEqual([`cannot write ${name}: the disk is full`]);
  });

  test('is written once for all that comes in one turn, in order, all of it or nothing', async () => {
    const { members, store } = await start();
    const write = store.write.bind(store);
    let writes = 0;
    store.write = changes => {
      writes++;
      write(changes);
    };
    const burst = (first: number) =>
      Promise.allSettled(
        Array.from({ length: 20 }, (_, i) => members.register(held(first + i), calling(member(first + i)))),
      );
    const answers = await burst(1);
    expect(writes).toBe(1);
    expect(answers.map(each => each.status === 'fulfilled' && each.value.record?.epoch)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    store.write = () => {
      throw new Error('the disk is full');
    };
    expect((await burst(21)).every(({ status }) => status === 'rejected')).toBe(true);
    expect((await members.resolve({ name }, calling(ann))).record?.epoch).toBe(20);
  });

  test('a renewal that says nothing new is not written', async () => {
    const dir = await temporaryDir();
    const { members, world } = await start(new World(), dir);
    await members.register(held(1), calling(ann));
    world.clock = 1_000;
    const written = async (): Promise<number> => (await stat(join(dir, 'naming.db-wal'))).size;
    const before = await written();
    const renewal = { name, memberId: '', epoch: 1, logOffset: 0, isDraining: false };
    await members.renew(renewal, calling(ann));
    expect(await written()).toBe(before);
    await members.renew({ ...renewal, logOffset: 1 }, calling(ann));
    expect(await written()).toBeGreaterThan(before);
  });

  test('is in a file of its own user, and one of another version is left alone', async () => {
    const dir = await temporaryDir();
    await start(new World(), dir);
    for (const file of await readdir(dir)) expect((await stat(join(dir, file))).mode & 0o777).toBe(0o600);
    const other = await temporaryDir();
    const db = new DatabaseSync(join(other, 'naming.db'));
    db.exec('PRAGMA user_version = 9');
    db.close();
    expect(() => new NamingStore(other)).toThrow(/is of another version of Warren \(its format is 9, not 1\)/);
    await writeFile(join(other, 'naming.db'), 'no database at all, but a text of some length');
    expect(() => new NamingStore(other)).toThrow(expect.objectContaining({ code: 'NAMING_DATA' }));
  });
});

describe('leases', () => {
  test('that end are told, once, and latents that are gone are forgotten', async () => {
    const { members, world, table } = await start();
    await members.register(held(1), calling(ann));
    await members.registerLatent(latent(), calling(bob));
    const told: unknown[] = [];
    table.onChange(({ kind, record }) => told.push([kind, record.leaseLeftMs, record.latentCount]));
    world.clock = leaseMs - 1;
    table.sweep();
    expect(told).toEqual([]);
    world.clock = leaseMs;
    table.sweep();
    table.sweep();
    expect(told).toEqual([
      ['expired', 0, 0],
      ['latents', 0, 0],
    ]);
  });

  test('end for who asks even before that has been seen', async () => {
    const { members, world } = await start();
    await members.register(held(1), calling(ann));
    await members.registerLatent(latent(), calling(bob));
    world.clock = leaseMs;
    expect((await members.resolve({ name }, calling(ann))).record).toMatchObject({ leaseLeftMs: 0, latents: [] });
    await expect(members.pickLatent({ name, maxLag: 9, except: [] }, calling(ann))).rejects.toMatchObject({
      code: 'NAMING_NO_LATENT',
    });
  });
});

describe('bounds', () => {
  test('of a member: so many names', async () => {
    const { members, world } = await start();
    const register = (n: number) => members.register(held(1, { name: `n${n}.lab` }), calling(ann));
    for (let n = 0; n < maxNamesOfOne; n++) await register(n);
    await expect(register(maxNamesOfOne)).rejects.toMatchObject({ status: 'RESOURCE_EXHAUSTED', code: 'NAMING_FULL' });
    world.clock += 10;
    await register(0);
    await members.register(held(1, { name: 'other.lab' }), calling(bob));
  });

  test('of a name: so many latents', async () => {
    const { members } = await start();
    for (let n = 1; n <= maxLatents; n++) await members.registerLatent(latent(), calling(member(n)));
    await expect(members.registerLatent(latent(), calling(member(maxLatents + 1)))).rejects.toMatchObject({
      code: 'NAMING_FULL',
    });
    const { record } = await members.resolve({ name }, calling(member(999)));
    expect(record?.latents.map(({ memberId }) => memberId)).toEqual(
      Array.from({ length: maxLatents }, (_, i) => member(i + 1)),
    );
  });

  test('of calls: so many from one caller, and others are not in its way', async () => {
    const { members, world } = await start();
    await members.register(held(1), calling(ann));
    const ask = () => members.resolve({ name }, calling(bob));
    for (let n = 0; n < 200; n++) await ask();
    await expect(ask()).rejects.toMatchObject({ code: 'NAMING_RATE', retryAfterMs: 10 });
    await members.resolve({ name }, calling(ann));
    world.clock += 10;
    await ask();
  });
});

describe('names', () => {
  test('are the same in capitals', async () => {
    const { members } = await start();
    await members.register(held(1, { name: 'Backend.COM' }), calling(ann));
    expect((await members.resolve({ name: 'backEnd.com' }, calling(ann))).record?.name).toBe('backend.com');
  });

  test('are listed in order, page by page', async () => {
    const { members, operator, world } = await start();
    for (let n = 0; n < 250; n++) {
      world.clock += 100;
      await operator.registerLatent(latent({ name: `n${n}.lab`, memberId: member(n + 1) }), calling(ann));
    }
    const found: string[] = [];
    let after = '';
    let pages = 0;
    do {
      const { records, next } = await members.list({ after }, calling(ann));
      found.push(...records.map(record => record.name));
      after = next;
      pages++;
    } while (after !== '');
    expect(pages).toBe(3);
    expect(found).toEqual(Array.from({ length: 250 }, (_, n) => `n${n}.lab`).sort());
  });

  test('are forgotten with their epoch by who runs naming, and by nobody else', async () => {
    const { members, operator, table } = await start();
    await members.register(held(9), calling(bob));
    const told: string[] = [];
    table.onChange(({ kind }) => told.push(kind));
    await expect(members.forget({ name }, calling(bob))).rejects.toMatchObject({ code: 'NAMING_FORGET' });
    await operator.forget({ name }, calling(ann));
    expect(told).toEqual(['forgotten']);
    await expect(members.resolve({ name }, calling(ann))).rejects.toMatchObject({ code: 'NAMING_NAME' });
    await expect(operator.forget({ name }, calling(ann))).rejects.toMatchObject({ code: 'NAMING_NAME' });
    expect((await members.register(held(2), calling(ann))).record?.epoch).toBe(2);
    expect(table.hasBelow('com')).toBe(true);
    await operator.forget({ name }, calling(ann));
    expect(table.hasBelow('com')).toBe(false);
  });
});

describe('watching', () => {
  test('begins with what is known, goes on with each change, and ends with its signal', async () => {
    const { members } = await start();
    await members.register(held(1), calling(ann));
    const end = new AbortController();
    const seen: string[] = [];
    for await (const { change } of members.watch({ name }, { ...calling(bob), signal: end.signal })) {
      seen.push(`${change?.kind} ${change?.record?.epoch}`);
      if (seen.length === 1) {
        await members.register(held(1, { name: 'other.lab' }), calling(ann));
        await members.register(held(2), calling(bob));
      } else end.abort();
    }
    expect(seen).toEqual(['current 1', 'moved 2']);
  });

  test('is refused to too many, and ended for who does not read', async () => {
    const { members, operator, world } = await start();
    await members.register(held(1), calling(ann));
    const watch = (from: number) => members.watch({ name: '' }, calling(member(from)))[Symbol.asyncIterator]();
    const watchers = Array.from({ length: 100 }, (_, i) => watch(10 + Math.floor(i / 19)));
    await Promise.all(watchers.slice(0, 19).map(watcher => watcher.next()));
    const twentieth = watch(10);
    await twentieth.next();
    const tooMany = expect.objectContaining({ code: 'NAMING_WATCHERS' });
    expect(() => watch(10)).toThrow(tooMany);
    await twentieth.return?.();
    await Promise.all(watchers.slice(19).map(watcher => watcher.next()));
    expect(() => watch(99)).toThrow(tooMany);
    for (let epoch = 2; epoch < 150; epoch++) {
      world.clock += 100;
      await operator.register(held(epoch, { memberId: ann }), calling(ann));
    }
    const [slow, ...others] = watchers;
    await expect(slow?.next()).rejects.toMatchObject({ code: 'NAMING_SLOW' });
    await Promise.all(others.map(watcher => watcher.return?.()));
    for await (const { change } of members.watch({ name: '' }, calling(ann))) {
      expect(change).toMatchObject({ kind: 'current', record: { epoch: 149 } });
      break;
    }
  });
});

test('the token is made once, is its user’s alone, and a torn one is made anew', async () => {
  const dir = await temporaryDir();
  const first = await keepToken(dir);
  expect(first).toMatch(/^[0-9a-f]{64}$/);
  expect(await keepToken(dir)).toBe(first);
  expect((await stat(join(dir, 'token'))).mode & 0o777).toBe(0o600);
  await writeFile(join(dir, 'token'), first.slice(1));
  expect(await keepToken(dir)).not.toBe(first);
  await chmod(dir, 0o700);
});
