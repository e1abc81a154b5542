import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ownBroker, temporaryDir } from '../support/broker.ts';
import { whyNoHosts } from '../support/hosts.ts';
import { until } from '../support/until.ts';
import { spawnWarren } from '../support/warren-process.ts';
import { ChatOnHosts } from './faults/chat-on-hosts.ts';
import { judge } from './faults/judge.ts';
import { shownIn, Terminal } from './terminal.ts';

/** As somebody sees it who tries it: `warren chat` in two terminals, `dig` in a third. */

const run = promisify(execFile);
const why = await whyNoHosts();
const hasDig = await run('dig', ['-v']).then(
  () => true,
  () => false,
);
const nothing = { lost: [], doubled: [], reordered: [], strange: [] };
const everyMs = 100;

function typedAll({ user, typed }: Terminal) {
  return { sender: user, kept: new Set(Array(typed).keys()), unsure: new Set<number>() };
}

/** In turns, until it is over. */
async function typeUntil(terminals: readonly Terminal[], isOver: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isOver())) {
    for (const terminal of terminals) terminal.type();
    await wait(everyMs);
  }
}

test.skipIf(!hasDig)(
  'two of the members of `warren up` type while the server moves, and do not notice; `dig` is told of each move',
  async () => {
    const broker = await ownBroker({ management: true });
    const dir = await temporaryDir();
    const free = ['--port', '--admin-port', '--directory-port', '--naming-port', '--dns-port'].flatMap(flag => [
      flag,
      '0',
    ]);
    const at = ['--data', dir, '--broker', broker.url, '--broker-http', broker.httpUrl ?? ''];
    await using up = await spawnWarren(['up', ...at, ...free, '--demo-ports', '0,0,0', '--migrate-every', '1500ms']);
    await up.line(/^warren is up$/);
    const port = /dig @127\.0\.0\.1 -p (\d+)/.exec(await up.line(/dig @127/))?.[1] ?? '';
    const epochInDns = async (): Promise<number> => {
      const { stdout } = await run('dig', ['@127.0.0.1', '-p', port, 'backend.com', 'TXT', '+short']);
      return Number(/"epoch=(\d+)"/.exec(stdout)?.[1]);
    };
    await using ann = await new Terminal('ann', join(dir, 'members', 'ann')).open();
    await using bob = await new Terminal('bob', join(dir, 'members', 'bob')).open();
    for (const { user } of [ann, bob]) await ann.line(new RegExp(`^\\* ${user} joined #lobby$`));

    const before = await epochInDns();
    await typeUntil([ann, bob], () => Math.min(ann.moves, bob.moves) >= 3);
    const said = [ann, bob].map(typedAll);
    const count = ann.typed + bob.typed;
    for (const { lines } of [ann, bob]) {
      await until(
        () => shownIn(lines),
        shown => shown.length >= count,
      );
      expect(judge(said, shownIn(lines))).toEqual(nothing);
      // Only what was said, and who serves: nothing is refused, nothing is lost, nobody is disconnected.
      const others = lines.filter(
        line => !/^\d\d:\d\d #lobby |serves the chat now|is here$| joined #lobby$/.test(line),
      );
      expect(others).toEqual([
        '/help says what there is to type',
        expect.stringMatching(/^\* backend\.com, served by /),
      ]);
    }
    expect(shownIn(ann.lines)).toEqual(shownIn(bob.lines));
    await until(epochInDns, epoch => epoch >= before + 3);
  },
  120_000,
);

test.skipIf(why !== undefined || !hasDig)(
  'the server is killed in mid-sentence, twice: nothing is lost, and `dig` shows where it went',
  async () => {
    await using network = await ChatOnHosts.start(3, ['--migrate-every', '0']);
    const { members, hosts } = network;
    const terminals = members.map(({ name, home, host }) => new Terminal(name, home, hosts.on(host)));
    for (const terminal of terminals) await terminal.open();
    const [first] = terminals;
    for (const { user } of terminals) await first?.line(new RegExp(`^\\* ${user} joined #lobby$`));
    const addressOf = (id: string): string => hosts.address(members.find(member => member.id === id)?.host ?? 0);
    for (let kill = 0; kill < 2; kill++) {
      const active = await network.active();
      await until(
        () => network.dig('A'),
        answer => answer.join() === addressOf(active.id),
      );
      const terminal = terminals.find(({ user }) => user === active.name);
      const others = terminals.filter(each => each !== terminal);
      const isFarEnough = (from: number) => (): boolean => Math.min(...others.map(({ typed }) => typed)) >= from + 10;
      await typeUntil(others, isFarEnough(others[0]?.typed ?? 0));
      const typing = typeUntil(others, isFarEnough(others[0]?.typed ?? 0));
      await active.kill();
      // Its own terminal says that it has gone.
      expect(await terminal?.exit).toBe(3);
      await typing;
      const next = await network.active();
      expect(next).not.toBe(active);
      await until(
        () => network.dig('A'),
        answer => answer.join() === addressOf(next.id),
      );
      await terminal?.[Symbol.asyncDispose]();
      await active.start();
      await terminal?.open();
    }
    const said = terminals.map(typedAll);
    const count = said.reduce((sum, { kept }) => sum + kept.size, 0);
    // In its history everybody has all of it, those that were killed as well.
    for (const { home } of members) {
      const history = await until(
        async () => {
          await using asked = await spawnWarren(['chat', 'history', '--limit', '200', '--data', home]);
          expect(await asked.exit).toBe(0);
          return shownIn(asked.lines);
        },
        shown => shown.length >= count,
        30_000,
      );
      expect(judge(said, history)).toEqual(nothing);
    }
    for (const terminal of terminals) await terminal[Symbol.asyncDispose]();
  },
  180_000,
);
