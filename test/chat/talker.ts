import { onTestFinished } from 'vitest';
import { ChatServiceDefinition } from '../../proto/gen/warren/chat/v1/chat.ts';
import {
  type DirectMessage,
  DirectServiceDefinition,
  type WatchDirectResponse,
} from '../../proto/gen/warren/chat/v1/direct.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import type { Client } from '../../services/lib/rpc/definition.ts';
import { connectToDaemon } from '../../services/lib/rpc/local-daemon.ts';
import { keptMemberKeys } from '../../services/member/home.ts';
import type { Network } from '../directory/network-of-processes.ts';
import { temporaryDir } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { spawnWarren, type WarrenProcess } from '../support/warren-process.ts';

/** A member that has joined by an invite, as a process, and its owner, who writes and reads private messages. */
export class Talker {
  readonly home: string;
  readonly id: MemberId;
  process!: WarrenProcess;
  direct!: Client<DirectServiceDefinition>;
  chat!: Client<ChatServiceDefinition>;
  /** What was told since it was started last. */
  readonly told: WatchDirectResponse[] = [];
  #disconnect = (): void => {};

  private constructor(home: string, id: MemberId) {
    this.home = home;
    this.id = id;
  }

  static async join(network: Pick<Network, 'invite'>, user: string): Promise<Talker> {
    const home = await temporaryDir();
    await using joining = await spawnWarren(
      ['join', await network.invite('--user', user), '--data', home, '--user', user],
      { USER: user },
    );
    if ((await joining.exit) !== 0) throw new Error(joining.lines.join('\n'));
    const talker = new Talker(home, (await keptMemberKeys(home)).id);
    onTestFinished(() => talker.kill());
    return talker;
  }

  async start(...flags: string[]): Promise<this> {
    this.process = await spawnWarren(['member', '--data', this.home, '--port', '0', '--ring-port', '0', ...flags]);
    await this.process.line(/^member is up$/);
    const connection = await connectToDaemon(this.home);
    this.direct = connection.client(DirectServiceDefinition);
    this.chat = connection.client(ChatServiceDefinition);
    this.#disconnect = () => connection.close();
    this.told.length = 0;
    void this.#follow();
    return this;
  }

  async #follow(): Promise<void> {
    try {
      for await (const event of this.direct.watchDirect({})) this.told.push(event);
    } catch {
      // The process has ended.
    }
  }

  /** As `kill -9`. */
  async kill(): Promise<void> {
    this.#disconnect();
    await this.process?.[Symbol.asyncDispose]();
  }

  async say(to: string, body: string): Promise<string> {
    return (await this.direct.sendDirect({ to, body })).message?.id ?? '';
  }

  async page(peer: string): Promise<DirectMessage[]> {
    return (await this.direct.listDirect({ with: peer, before: 0, limit: 200 })).messages;
  }

  async bodies(peer: string): Promise<string[]> {
    return (await this.page(peer)).map(({ body }) => body);
  }

  /** Waits until the last message with somebody says this. */
  async hears(peer: string, body: string): Promise<string[]> {
    return await until(
      () => this.bodies(peer),
      bodies => bodies.includes(body),
      30_000,
    );
  }

  async state(id: string, peer: string): Promise<number | undefined> {
    return (await this.page(peer)).find(each => each.id === id)?.state;
  }
}
