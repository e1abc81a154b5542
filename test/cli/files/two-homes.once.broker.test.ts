import { execFileSync } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Network, warren } from '../../directory/network-of-processes.ts';
import { sampleContent } from '../../peer/parts/content.ts';
import { Member } from '../../peer/parts/member.ts';
import { ownBroker, temporaryDir } from '../../support/broker.ts';
import { until } from '../../support/until.ts';
import { spawnWarren } from '../../support/warren-process.ts';
import { hasTerminal, openTerminal } from './terminal.ts';

const MiB = 2 ** 20;

async function twoHomes() {
  const network = await Network.start(await ownBroker({ management: true }));
  const [ann, bob] = [await Member.join(network, 'ann'), await Member.join(network, 'bob')];
  await Promise.all([ann.start(), bob.start()]);
  return { ann, bob };
}

function files(member: Member, ...argv: string[]) {
  return warren(['files', ...argv, '--data', member.home]);
}

/** As a user would: again until it is there. */
function found(member: Member, words: string) {
  return until(
    () => files(member, 'search', words),
    ({ code }) => code === 0,
    30_000,
  );
}

function sha256sum(file: string): string {
  return execFileSync('sha256sum', [file], { encoding: 'utf8' }).slice(0, 64);
}

test('one shares a folder; the other searches, gets, is killed half way, types the same again, and has the same bytes', async () => {
  const { ann, bob } = await twoHomes();
  const folder = join(await temporaryDir(), 'holiday');
  await mkdir(join(folder, 'day one'), { recursive: true });
  const film = join(folder, 'day one', 'rabbit film.bin');
  await writeFile(film, sampleContent(48 * MiB + 17).bytes);
  await writeFile(join(folder, 'notes.txt'), 'much grass\n');

  expect(await files(bob, 'list')).toMatchObject({
    code: 0,
    out: '',
    err: expect.stringContaining('nothing is shared yet'),
  });
  expect(await files(ann, 'share', folder)).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^holiday is shared/),
  });
  const { out } = await found(bob, 'rabbit fi');
  expect(out).toMatch(
    /^ID +SIZE {2}HAVE IT {2}NAME\n[0-9a-f]{64} {2}48\.0 MiB {8}1 {2}holiday\/day one\/rabbit film\.bin\n$/,
  );
  expect((await files(ann, 'list')).out).toContain(out.slice(out.indexOf('\n') + 1, out.indexOf('\n') + 65));
  expect(await files(bob, 'search', 'rabbit', '--type', 'pdf')).toMatchObject({ code: 4, out: '' });

  expect(await files(bob, 'limit', '--down', '8M')).toMatchObject({
    code: 0,
    out: expect.stringContaining('down    8.0 MiB/s'),
  });
  const get = ['files', 'get', 'rabbit film.bin', '--data', bob.home];
  const events = await spawnWarren([...get, '--json']);
  await events.line(/"verified":(?:2\d{7}|3\d{7})\b/);
  await bob.kill();
  expect(await events.exit).toBe(3);
  // Both of its outputs are read here, the one before the other, and some of it after its end.
  const said = `warren: the member of ${bob.home} has ended: warren member --data ${bob.home}, and then the same command again`;
  await until(
    () => events.lines,
    lines => lines.includes(said),
  );
  expect(await warren(get)).toMatchObject({
    code: 3,
    err: `warren: no member runs for ${bob.home}: warren member --data ${bob.home}\n`,
  });

  await bob.start();
  const again = await spawnWarren([...get, '--json']);
  await again.line(/"state":"moving".*"verified":[1-9]/);
  again.kill('SIGINT');
  expect(await again.exit).toBe(130);
  await until(
    () => again.lines,
    lines =>
      lines.some(line => /^warren: paused at \d\d %; to go on: warren files get 'rabbit film\.bin' --data /.test(line)),
  );
  expect((await files(bob, 'status')).out).toMatch(/rabbit film\.bin: \d\d %, .* paused\n$/);
  expect((await files(bob, 'limit', '--down', '0')).code).toBe(0);
  const last = await warren(get);
  expect(last).toMatchObject({ code: 0, out: `${join(bob.share, 'rabbit film.bin')}\n` });
  expect(last.err).toMatch(/rabbit film\.bin: 48\.0 MiB in .* from ann directly\n$/);
  expect(sha256sum(join(bob.share, 'rabbit film.bin'))).toBe(sha256sum(film));
  // Since the restart less than all had to come.
  const { transfers } = JSON.parse((await files(bob, 'status', '--all', '--json')).out) as {
    transfers: { state: string; length: number; sources: { bytes: number }[] }[];
  };
  expect(transfers).toHaveLength(1);
  expect(transfers[0]).toMatchObject({ state: 'done', length: 48 * MiB + 17 });
  expect(transfers[0]?.sources[0]?.bytes).toBeLessThan(46 * MiB);
  // And once more: nothing is to be done.
  expect(await warren(get)).toMatchObject({ code: 0, out: last.out, err: 'rabbit film.bin: it is here already\n' });
  expect((await files(bob, 'status')).out).toMatch(/no transfers\n$/);
}, 180_000);

test.skipIf(!hasTerminal)(
  "the origin's menu does its five things",
  async () => {
    const { ann, bob } = await twoHomes();
    await writeFile(join(ann.share, 'carrots.csv'), sampleContent(3 * MiB, 2).bytes);
    await found(bob, 'carrots');
    const mine = join(await temporaryDir(), 'turnips.csv');
    await writeFile(mine, sampleContent(2 * MiB, 3).bytes);

    const terminal = await openTerminal(['files', 'menu', '--data', bob.home], { columns: 110, rows: 50 });
    const menu = ['1. Exit', '2. Download', '3. Upload', '4. List index', '5. Logout'];
    const shown = await terminal.shows(/^> $|^>$/m);
    expect(shown.split('\n')).toEqual(['logged in as bob', '', ...menu, '>']);

    await terminal.type('2', 'Enter');
    await terminal.shows(/^File to download \(name or id\):/m);
    await terminal.type('carrots.csv', 'Enter');
    await terminal.shows(new RegExp(`^${join(bob.share, 'carrots.csv')}$`, 'm'));
    expect(sha256sum(join(bob.share, 'carrots.csv'))).toBe(sha256sum(join(ann.share, 'carrots.csv')));

    await terminal.type('4', 'Enter');
    await terminal.shows(/^[0-9a-f]{12} {2}3\.0 MiB {2}carrots\.csv$/m);

    await terminal.type('3', 'Enter');
    await terminal.shows(/^File to upload:/m);
    await terminal.type(mine, 'Enter');
    await terminal.shows(/^turnips\.csv: 2\.0 MiB in .* to ann directly$/m);
    expect(sha256sum(join(ann.share, 'turnips.csv'))).toBe(sha256sum(mine));

    // What is wrong is said, and the menu goes on.
    await terminal.type('2', 'Enter', 'none.such', 'Enter');
    await terminal.shows(/no peer shares such a file$/m);
    await terminal.type('9', 'Enter');
    await terminal.shows(/^9 is none of them: a number from 1 to 5$/m);

    await terminal.type('5', 'Enter');
    expect((await terminal.shows(/^exit 0$/m)).split('\n').slice(-2)).toEqual(['logged out', 'exit 0']);
    expect((await files(bob, 'status')).out).toContain('logged out (warren files login)');
    // Now nobody is there to take it.
    expect(await files(ann, 'put', 'turnips.csv')).toMatchObject({ code: 4 });

    const again = await openTerminal(['files', 'menu', '--data', bob.home]);
    await again.shows(/^>$/m);
    expect((await files(bob, 'status')).out).toContain('directory up');
    await again.type('1', 'Enter');
    await again.shows(/^exit 0$/m);
    expect((await files(bob, 'status')).out).toContain('directory up');
  },
  180_000,
);

test('names that several have, beginnings of ids, places and sources are taken as one would think', async () => {
  const { ann, bob } = await twoHomes();
  const odd = 'ünï – 漢字 \u200b👍.txt';
  await mkdir(join(ann.share, 'a'));
  await mkdir(join(ann.share, 'b'));
  await writeFile(join(ann.share, 'a', 'same.txt'), 'one\n');
  await writeFile(join(ann.share, 'b', 'same.txt'), 'two\n');
  await writeFile(join(ann.share, odd), 'odd\n');
  await until(
    () => files(bob, 'list', '--network', '--json'),
    ({ out }) => out.includes('"a"') && out.includes('"b"') && out.includes('👍'),
    30_000,
  );
  const several = await files(bob, 'get', 'same.txt');
  expect(several.code).toBe(5);
  expect(several.out).toMatch(/^ID .*\n[0-9a-f]{64} .* [ab]\/same\.txt\n[0-9a-f]{64} .* [ab]\/same\.txt\n$/);
  expect(several.err).toMatch(
    /^warren: 2 different files are called same\.txt: take one by its id, as in warren files get [0-9a-f]{64}\n$/,
  );

  const [, id = ''] = /^([0-9a-f]{64}) .* b\/same\.txt$/m.exec(several.out) ?? [];
  expect(await files(bob, 'get', id.slice(0, 12), '--to', 'mine/two.txt', '--sources', '1')).toMatchObject({
    ...{ code: 0, out: `${join(bob.share, 'mine/two.txt')}\n` },
  });
  expect(await files(bob, 'get', 'a/same.txt', '--quiet')).toEqual({
    code: 0,
    out: `${join(bob.share, 'same.txt')}\n`,
    err: '',
  });
  expect(await files(bob, 'get', odd)).toMatchObject({ code: 0 });
  // For people what hides in it is shown; for programs it is as it is.
  expect((await files(bob, 'list')).out).toContain('ünï – 漢字 \\u{200b}👍.txt\n');
  const paths = (await files(bob, 'list', '--json')).out
    .trim()
    .split('\n')
    .map(line => (JSON.parse(line) as { path: string }).path);
  expect(paths.sort()).toEqual(['mine/two.txt', 'same.txt', odd].sort());

  expect(await files(bob, 'get', 'f'.repeat(64))).toMatchObject({ code: 4, out: '' });
  expect(await files(bob, 'cancel', 'nothing')).toMatchObject({ code: 4, out: '' });
  expect(await files(bob, 'put', 'none.such')).toMatchObject({ code: 4, out: '' });
  expect(await files(bob, 'share', '--stop', 'same.txt')).toMatchObject({
    code: 2,
    err: expect.stringContaining('--yes'),
  });
  expect(await files(bob, 'share', '--stop', 'same.txt', '--yes')).toMatchObject({ code: 0 });
  expect(await files(bob, 'share', join(bob.share, 'mine'))).toMatchObject({ code: 2 });
  // Whom it is given to can be said, and may take nothing.
  expect((await files(ann, 'limit', '--offers', '0')).out).toContain('offers  refused');
  const mine = join(await temporaryDir(), 'big.bin');
  await writeFile(mine, sampleContent(MiB, 9).bytes);
  expect(await files(bob, 'put', mine, '--peer', ann.id)).toMatchObject({
    code: 6,
    err: expect.stringMatching(/big\.bin: failed: /),
  });
  // Again: it is there already, and is not copied a second time.
  expect((await files(ann, 'limit', '--offers', '1G')).code).toBe(0);
  expect(await files(bob, 'put', mine, '--peer', ann.id)).toMatchObject({ code: 0 });
  expect(await files(bob, 'put', mine, '--peer', ann.id)).toMatchObject({ code: 0 });
  expect((await files(bob, 'share', mine)).out).toMatch(/^big\.bin is shared already/);
  expect(await readdir(bob.share)).toContain('big.bin');
  expect(await readdir(bob.share)).not.toContain('big (2).bin');
}, 180_000);
