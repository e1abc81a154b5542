import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { TransferPhase } from '../../../proto/gen/warren/peer/v1/peer.ts';
import { type Script, source, startScriptedMember, transfer } from './scripted-member.ts';
import { hasTerminal, openTerminal } from './terminal.ts';

const MiB = 1024 * 1024;

interface Moving {
  readonly script: Script;
  isPaused(): boolean;
  asked(): readonly string[];
}

/** Moves a MiB each 20 ms, from one that is reached directly and from one through the broker, and can be paused. */
function moving(): Moving {
  let verified = 0;
  let state: TransferPhase = TransferPhase.TRANSFER_PHASE_LOCATING;
  const asked: string[] = [];
  const now = () =>
    transfer({
      ...{ state, verified, leftMs: Math.round((64 * MiB - verified) / 50_000) },
      sources:
        state === TransferPhase.TRANSFER_PHASE_LOCATING
          ? []
          : [
              source({ bytes: verified * 0.75 }),
              source({
                memberId: 'ef'.repeat(32),
                name: 'eve\u001b[2J\nroot',
                isRelayed: true,
                bytes: verified * 0.25,
              }),
            ],
    });
  const script: Script = {
    async *get({ what }, { signal }) {
      asked.push(what);
      yield { transfer: now() };
      state = TransferPhase.TRANSFER_PHASE_MOVING;
      while (verified < 64 * MiB) {
        await wait(20, undefined, { signal }).catch(() => {});
        if (signal.aborted) return;
        if (state === TransferPhase.TRANSFER_PHASE_MOVING) verified += MiB;
        yield { transfer: now() };
      }
      state = TransferPhase.TRANSFER_PHASE_DONE;
      yield { transfer: now() };
    },
    async pause() {
      state = TransferPhase.TRANSFER_PHASE_PAUSED;
      return { transfer: now() };
    },
    listShared: async () => ({ files: [], next: '', pending: 0, root: '/share' }),
  };
  return { script, isPaused: () => state === TransferPhase.TRANSFER_PHASE_PAUSED, asked: () => asked };
}

describe.skipIf(!hasTerminal)('on a terminal', () => {
  test('a transfer is a bar and a line for each source, drawn in place, and at last where the file is', async () => {
    const { script } = moving();
    const dir = await startScriptedMember(script);
    const terminal = await openTerminal(['files', 'get', 'report.pdf', '--data', dir]);
    const during = (await terminal.shows(/[2-5]\d %/)).split('\n');
    expect(during).toEqual([
      expect.stringMatching(
        /^report\.pdf {19}█+[▏▎▍▌▋▊▉]?░+ +\d\d % +\d+\.\d MiB of 64\.0 MiB +4\.0 MiB\/s +\d\.\d s left$/,
      ),
      expect.stringMatching(/^ {2}bob cdcdcd +direct +\d+\.\d MiB +4\.0 MiB\/s$/),
      // A name that would clear the screen does not.
      expect.stringMatching(/^ {2}eve\\x1b\[2J\\x0aroot efefef +relayed +\d+\.\d MiB +4\.0 MiB\/s$/),
    ]);
    const lines = (await terminal.shows(/exit 0/)).split('\n');
    expect(lines[0]).toMatch(/^report\.pdf {2}█{40} {2}100 % {2}64\.0 MiB of 64\.0 MiB$/);
    expect(lines.slice(1, -2).join('')).toMatch(
      /^papers\/report\.pdf: 64\.0 MiB in \S+ s, \S+ MiB\/s, from bob 75 % directly, eve\\x1b\[2J\\x0aroot 25 % relayed$/,
    );
    expect(lines.slice(-2)).toEqual(['/share/papers/report.pdf', 'exit 0']);
  });

  test('Ctrl-C pauses, and says how to go on', async () => {
    const { script, isPaused, asked } = moving();
    const dir = await startScriptedMember(script);
    const terminal = await openTerminal(['files', 'get', 'report.pdf', '--data', dir], { columns: 120 });
    await terminal.shows(/[2-5]\d %/);
    await terminal.type('C-c');
    const screen = await terminal.shows(/exit 130/);
    expect(screen).toMatch(
      new RegExp(`^warren: paused at \\d\\d %; to go on: warren files get report\\.pdf --data ${dir}$`, 'm'),
    );
    expect(isPaused()).toBe(true);
    expect(asked()).toEqual(['report.pdf']);
  });

  test('a narrow one without Unicode gets a bar of ASCII, and no line is broken; nor when it becomes narrower', async () => {
    const { script } = moving();
    const dir = await startScriptedMember(script);
    const terminal = await openTerminal(['files', 'get', 'report.pdf', '--data', dir], { columns: 72, locale: 'C' });
    expect((await terminal.shows(/[1-5]\d %/)).split('\n')).toEqual([
      expect.stringMatching(/^report\.pdf +#+\.+ +\d\d %/),
      expect.stringMatching(/^ {2}bob/),
      expect.stringMatching(/^ {2}eve.+relayed/),
    ]);
    await terminal.resize(50);
    const screen = await terminal.shows(/^exit 0/m);
    expect(screen.match(/report\.pdf {2,}/g)).toHaveLength(1);
  });

  test('the table of a watch stays in place, and ends with 0 at Ctrl-C', async () => {
    let verified = 0;
    const dir = await startScriptedMember({
      async *watchTransfers(_request, { signal }) {
        while (!signal.aborted) {
          verified += MiB;
          yield { transfer: transfer({ verified }) };
          await wait(20, undefined, { signal }).catch(() => {});
        }
      },
    });
    const terminal = await openTerminal(['files', 'watch', '--data', dir]);
    const screen = await terminal.shows(/[3-5]\d %/);
    expect(screen.split('\n')).toEqual([
      'burrow (abababababab, account ann): broker up, directory up',
      '',
      expect.stringMatching(/^report\.pdf .*%/),
      expect.stringMatching(/^ {2}bob/),
      '',
      expect.stringMatching(/^\d\d:\d\d:\d\d {2}report\.pdf: coming in$/),
    ]);
    await terminal.type('C-c');
    await terminal.shows(/exit 0/);
  });
});
