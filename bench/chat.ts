import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { openBroker } from './parts/broker.ts';
import { type ChatMember, Processes, startChatNetwork } from './parts/chat/network.ts';
import { startEmbedded } from './parts/embedded.ts';
import { writeSection } from './parts/page.ts';

/** Between two messages of the one who talks, in milliseconds: a client sends no more than 100 a second for long. */
const everyMs = 15;
const leaseMs = 3_000;

/**
 * `npm run bench -- chat [--migrations N] [--kills N] [--freezes N] [--embedded] [--write]`: for how long nothing is heard when the
 * server of a chat moves, is killed, is frozen. Four members' daemons, of which one talks all the time; what another one hears.
 */
export async function run(flags: readonly string[]): Promise<void> {
  const valueOf = (flag: string, fallback: number): number => {
    const at = flags.indexOf(flag);
    return at === -1 ? fallback : Number(flags[at + 1]);
  };
  const counts = {
    migrations: valueOf('--migrations', 100),
    kills: valueOf('--kills', 10),
    freezes: valueOf('--freezes', 10),
  };
  const home = await mkdtemp(join(tmpdir(), 'warren-bench-'));
  const processes = new Processes();
  const broker = flags.includes('--embedded')
    ? { ...(await startEmbedded(join(home, 'broker'))), describe: 'the embedded broker' }
    : await openBroker(home, { url: undefined, pid: undefined }, { management: true });
  try {
    const at = { home, url: broker.url, httpUrl: broker.httpUrl ?? '', members: 4 };
    const members = await startChatNetwork(processes, { ...at, flags: ['--migrate-every', '700ms'] });
    const rows = [await planned(members, counts.migrations)];
    for (const member of members) await member.restart(['--migrate-every', '0']);
    rows.push(
      await failures(members, 'kill -9', counts.kills, async active => {
        await active.kill();
        return async () => void (await active.start());
      }),
      await failures(members, 'SIGSTOP', counts.freezes, async active => {
        active.child.kill('SIGSTOP');
        return async () => void active.child.kill('SIGCONT');
      }),
    );
    const page = [
      `${broker.describe}; ${cpus()[0]?.model.trim()}, ${cpus().length} cores for all of it, Node ${process.version}. Four members; one says something every ${everyMs} ms, and the time is that between the last message before and the first one after, as another member's owner sees them.`,
      '| the server | times | p50 ms | p99 ms | longest | aim |\n| --- | --: | --: | --: | --: | --: |',
    ].join('\n\n');
    const text = `${page}\n${rows.join('\n')}`;
    process.stdout.write(`${text}\n`);
    if (flags.includes('--write')) writeSection(resolve(import.meta.dirname, '../docs/benchmarks.md'), 'chat', text);
  } finally {
    await processes.end();
    await broker.close();
    // The embedded one ends in its own time.
    await rm(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

function row(what: string, times: readonly number[], aimMs: number): string {
  const sorted = times.toSorted((a, b) => a - b);
  const quantile = (part: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
  const p99 = quantile(0.99);
  const figures = [quantile(0.5), p99, quantile(1)].map(ms => ms.toFixed(0));
  return `| ${what} | ${sorted.length} | ${figures.join(' | ')} | ${p99 < aimMs ? `< ${aimMs}: pass` : `**FAIL**: < ${aimMs}`} |`;
}

/** Says something all the time. */
function talk(member: ChatMember): { stop(): Promise<void> } {
  let isOver = false;
  let said = 0;
  const talking = (async () => {
    while (!isOver) {
      await member.say(`message ${said++}`);
      await wait(everyMs);
    }
  })();
  return {
    async stop() {
      isOver = true;
      await talking;
    },
  };
}

/** The gaps around each change of the one who serves. */
async function planned(members: readonly ChatMember[], count: number): Promise<string> {
  const [talker, listener] = members as [ChatMember, ChatMember];
  const pauses: number[] = [];
  const done = Promise.withResolvers<void>();
  let heardAt = performance.now();
  let isMoved = false;
  listener.onEvent = event => {
    if (event.$case === 'serving') isMoved = true;
    if (event.$case !== 'message') return;
    const now = performance.now();
    if (isMoved) {
      pauses.push(now - heardAt);
      if (pauses.length % 20 === 0) process.stderr.write(`${pauses.length} migrations\n`);
    }
    isMoved = false;
    heardAt = now;
    if (pauses.length >= count) done.resolve();
  };
  const talking = talk(talker);
  await done.promise;
  await talking.stop();
  listener.onEvent = () => {};
  return row('moves as planned', pauses, 100);
}

async function failures(
  members: readonly ChatMember[],
  what: string,
  count: number,
  strike: (active: ChatMember) => Promise<() => Promise<void>>,
): Promise<string> {
  const pauses: number[] = [];
  while (pauses.length < count) {
    const { serving } = (await members[0]?.chat.getChat({})) ?? {};
    const active = members.find(({ id }) => id === serving?.server?.memberId);
    if (active === undefined) throw new Error('nobody serves');
    const [talker, listener] = members.filter(member => member !== active) as [ChatMember, ChatMember];
    let heardAt = performance.now();
    let onHeard = (): void => {};
    listener.onEvent = event => {
      if (event.$case !== 'message') return;
      heardAt = performance.now();
      onHeard();
    };
    const talking = talk(talker);
    await wait(500);
    const struckAt = performance.now();
    const heal = await strike(active);
    // From the last one heard to the first one after the longest silence: it is over when a second of talk has been heard.
    let [last, longest] = [struckAt, 0];
    const settled = Promise.withResolvers<void>();
    onHeard = () => {
      longest = Math.max(longest, heardAt - last);
      last = heardAt;
      if (heardAt - struckAt > 1_000 && longest < heardAt - struckAt) void wait(1_000).then(settled.resolve);
    };
    await settled.promise;
    onHeard = () => {};
    await talking.stop();
    listener.onEvent = () => {};
    await heal();
    pauses.push(longest);
    process.stderr.write(`${what}: ${longest.toFixed(0)} ms\n`);
    await wait(2_000);
  }
  return row(what, pauses, leaseMs + 1_000);
}
