import { setTimeout as wait } from 'node:timers/promises';
import { messageText, type Said } from './judge.ts';
import type { MemberOnHost } from './member-on-host.ts';

/** How many it says before it waits until the last of them stands in the log: what waits is bounded. */
const awaitedEvery = 100;
const patienceMs = 300_000;
/** The daemon's answer is that it has not taken it. */
const notTaken = new Set(['CHAT_FULL', 'CHAT_REQUEST']);

/** One program of a member's owner that talks all the time, one message after the other. */
export class Sender implements Said {
  readonly sender: string;
  readonly kept = new Set<number>();
  readonly unsure = new Set<number>();
  readonly #member: MemberOnHost;
  readonly #talking: Promise<void>;
  #isOver = false;

  constructor(sender: string, member: MemberOnHost, { room, everyMs }: { room: string; everyMs: number }) {
    this.sender = sender;
    this.#member = member;
    this.#talking = this.#talk(room, everyMs);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#talking;
  }

  async #talk(room: string, everyMs: number): Promise<void> {
    let dueAt = performance.now();
    for (let number = 0; !this.#isOver; number++) {
      await this.#say(room, number);
      dueAt = Math.max(dueAt + everyMs, performance.now() - 1_000);
      const early = dueAt - performance.now();
      if (early > 1) await wait(early);
    }
  }

  async #say(room: string, number: number): Promise<void> {
    const chat = await this.#member.chat;
    const isAwaited = number % awaitedEvery === awaitedEvery - 1;
    const request = { room, text: messageText(this.sender, number), mentions: [], file: undefined, isAwaited };
    try {
      await chat.sendMessage(request, { deadlineMs: patienceMs });
      this.kept.add(number);
    } catch (error) {
      if (!notTaken.has((error as { code?: string }).code ?? '')) this.unsure.add(number);
      await wait(50);
    }
  }
}
