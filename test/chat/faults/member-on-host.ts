import {
  ChatServiceDefinition,
  type GetChatResponse,
  type WatchChatResponse,
} from '../../../proto/gen/warren/chat/v1/chat.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import type { Client } from '../../../services/lib/rpc/definition.ts';
import { connectToDaemon } from '../../../services/lib/rpc/local-daemon.ts';
import { keptMemberKeys } from '../../../services/member/home.ts';
import type { Hosts } from '../../support/hosts.ts';
import { spawnWarren, type WarrenProcess } from '../../support/warren-process.ts';

type Chat = Client<typeof ChatServiceDefinition>;

const pageSize = 200;

/** A member that has joined, as a daemon on a host of its own, and its owner's programs. */
export class MemberOnHost {
  readonly name: string;
  readonly host: number;
  /** For `--data`. */
  readonly home: string;
  readonly id: MemberId;
  isFrozen = false;
  /** What was shown that was shown before, or is older than what was. */
  readonly shownAgain: string[] = [];
  /** What it had kept, and then refused. */
  readonly refused: string[] = [];
  #up = Promise.withResolvers<Chat>();
  #isUp = false;
  #process: WarrenProcess | undefined;
  #disconnect = (): void => {};
  readonly #hosts: Hosts;
  readonly #flags: readonly string[];

  private constructor(
    hosts: Hosts,
    {
      name,
      host,
      id,
      home,
      flags,
    }: { name: string; host: number; id: MemberId; home: string; flags: readonly string[] },
  ) {
    this.#hosts = hosts;
    this.name = name;
    this.host = host;
    this.id = id;
    this.home = home;
    this.#flags = flags;
  }

  static async join(
    hosts: Hosts,
    as: { name: string; host: number; home: string; invite: string; flags: readonly string[] },
  ): Promise<MemberOnHost> {
    const { name, host, home, invite } = as;
    await using joining = await spawnWarren(['join', invite, '--data', home, '--user', name], {}, hosts.on(host));
    if ((await joining.exit) !== 0) throw new Error(joining.lines.join('\n'));
    return new MemberOnHost(hosts, { ...as, id: (await keptMemberKeys(home)).id });
  }

  /** Resolves when its owner can speak to it, whether it reaches the broker or not. */
  async start(): Promise<void> {
    const args = ['member', '--data', this.home, '--port', '0', ...this.#flags];
    this.#process = await spawnWarren(args, { WARREN_CHAT_ONLY: 'true' }, this.#hosts.on(this.host));
    await this.#process.line(/^its owner is served at /);
    const connection = await connectToDaemon(this.home);
    this.#disconnect = () => connection.close();
    const chat = connection.client(ChatServiceDefinition);
    this.#isUp = true;
    this.#up.resolve(chat);
    void this.#watch(chat);
  }

  /** As `kill -9`. */
  async kill(): Promise<void> {
    if (this.#isUp) this.#up = Promise.withResolvers();
    this.#isUp = false;
    this.isFrozen = false;
    const process = this.#process;
    process?.kill('SIGKILL');
    await process?.exit;
    this.#disconnect();
    await process?.[Symbol.asyncDispose]();
  }

  freeze(): void {
    this.isFrozen = true;
    this.#process?.kill('SIGSTOP');
  }

  thaw(): void {
    this.isFrozen = false;
    this.#process?.kill('SIGCONT');
  }

  unplug(): Promise<void> {
    return this.#hosts.unplug(this.host);
  }

  plug(): Promise<void> {
    return this.#hosts.plug(this.host);
  }

  /** As soon as it runs. */
  get chat(): Promise<Chat> {
    return this.#up.promise;
  }

  /** Lines of its present run that match. */
  said(pattern: RegExp): number {
    return this.#process?.lines.filter(line => pattern.test(line)).length ?? 0;
  }

  get lines(): readonly string[] {
    return this.#process?.lines ?? [];
  }

  /** @returns undefined: it does not answer */
  async look(): Promise<GetChatResponse | undefined> {
    if (!this.#isUp || this.isFrozen) return undefined;
    try {
      return await (await this.chat).getChat({}, { deadlineMs: 2_000 });
    } catch {
      return undefined;
    }
  }

  /** All that it has in its history, the oldest first. */
  async history(room: string): Promise<{ seq: number; text: string }[]> {
    const chat = await this.chat;
    const all: { seq: number; text: string }[] = [];
    // The first entry of all is no message.
    for (let after = 1; ; ) {
      const page = await chat.listMessages({ room, before: 0, after, limit: pageSize, words: '' });
      for (const { seq, text } of page.messages) all.push({ seq, text });
      if (!page.hasMore) return all;
      after = all.at(-1)?.seq ?? after;
    }
  }

  /** What it shows, for as long as this run of it lasts. */
  async #watch(chat: Chat): Promise<void> {
    let last = 0;
    const see = ({ event }: WatchChatResponse): void => {
      if (event?.$case === 'outcome' && event.value.refusal !== '') this.refused.push(event.value.refusal);
      if (event?.$case !== 'message') return;
      const { seq, text } = event.value;
      if (seq <= last) this.shownAgain.push(`${text} (${seq} after ${last})`);
      last = Math.max(last, seq);
    };
    while (this.#isUp) {
      try {
        for await (const event of chat.watchChat({})) see(event);
      } catch (error) {
        // Too slow to be told of each: it is told of what comes next.
        if ((error as { code?: string }).code !== 'FEED_BEHIND') return;
      }
    }
  }
}
