import type { Operation } from '../../../services/chat/core/entry.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import type { RunInProgress } from './chat-run.ts';
import type { ModelProcess } from './model-process.ts';

export interface Said {
  readonly process: ModelProcess;
  /** Of what it has said. */
  readonly order: number;
}

/** What is said, until so late: each text once. @returns has a process speak, every so many milliseconds or so */
export function createTalk(run: RunInProgress, texts: Map<string, Said>, untilMs: number) {
  const { queue, processes, counts } = run;
  const { chance, span, below, pick } = run.dice;
  const rooms = ['lobby', 'tea', 'work'];
  const mostSaid = span(50, 600);
  return speak;

  function speak(process: ModelProcess, everyMs: number): void {
    if (queue.now() > untilMs || counts.said > mostSaid) return;
    queue.after(span(0, 2) * everyMs, () => {
      speak(process, everyMs);
      return false;
    });
    if (!process.isRunning || process.isFrozen) return;
    for (let left = chance(0.02) ? 80 : 1; left > 0 && process.isRunning && !process.isFrozen; left--)
      process.say(chance(0.9) ? text(process) : operation());
  }
  function text(process: ModelProcess): Operation {
    const order = ++process.saidCount;
    const words = `${process.name}#${order}`;
    texts.set(words, { process, order });
    counts.said++;
    return { kind: 'message', room: chance(0.9) ? 'lobby' : (pick(rooms) ?? ''), text: words, mentions: [] };
  }
  function operation(): Operation {
    const room = pick(rooms) ?? '';
    const member = pick(processes)?.member as MemberId;
    const all: Operation[] = [
      ...([
        { kind: 'create', room, topic: '' },
        { kind: 'join', room },
        { kind: 'leave', room },
      ] as const),
      ...([
        { kind: 'kick', room, member },
        { kind: 'mute', room, member, isMuted: chance(0.3) },
      ] as const),
      ...([
        { kind: 'give', room, member },
        { kind: 'topic', room, topic: `${below(9)}` },
      ] as const),
    ];
    return pick(all) as Operation;
  }
}
