import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { ChatServiceDefinition, type WatchChatResponse } from '../../../proto/gen/warren/chat/v1/chat.ts';
import type { Client } from '../../../services/lib/rpc/definition.ts';
import { connectToDaemon } from '../../../services/lib/rpc/local-daemon.ts';
import { keptMemberKeys } from '../../../services/member/home.ts';

const bin = resolve(import.meta.dirname, '../../../bin/warren.js');

/** Processes of one network, as its users run them; ended by their ids. */
export class Processes {
  readonly #children = new Set<ChildProcess>();

  constructor() {
    process.on('exit', () => {
      for (const child of this.#children) child.kill('SIGKILL');
    });
  }

  /** `warren ARGS`, up to a line that it says. */
  async start(args: readonly string[], until: RegExp): Promise<ChildProcess> {
    const child = spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.add(child);
    const said: string[] = [];
    await new Promise<void>((ready, reject) => {
      for (const stream of [child.stdout, child.stderr])
        createInterface({ input: stream }).on('line', line => {
          said.push(line);
          if (until.test(line)) ready();
        });
      child.once('exit', code =>
        reject(new Error(`warren ${args[0]} ended (${code}):\n${said.slice(-20).join('\n')}`)),
      );
    });
    return child;
  }

  /** Until it ends. @returns what it printed */
  async run(args: readonly string[]): Promise<string> {
    const child = spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', chunk => {
      text += chunk;
    });
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`warren ${args[0]} ended with ${code}`);
    return text.trim();
  }

  /** As `kill -9`, also of one that is stopped. */
  async kill(child: ChildProcess): Promise<void> {
    this.#children.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async end(): Promise<void> {
    await Promise.all([...this.#children].map(child => this.kill(child)));
  }
}

/** A member's daemon, and what its owner sees. */
export class ChatMember {
  readonly home: string;
  readonly id: string;
  readonly #processes: Processes;
  #flags: readonly string[];
  child!: ChildProcess;
  chat!: Client<ChatServiceDefinition>;
  onEvent: (event: NonNullable<WatchChatResponse['event']>) => void = () => {};
  #disconnect = (): void => {};

  private constructor(processes: Processes, home: string, id: string, flags: readonly string[]) {
    this.#processes = processes;
    this.home = home;
    this.id = id;
    this.#flags = flags;
  }

  static async join(processes: Processes, invite: string, home: string, flags: readonly string[]): Promise<ChatMember> {
    await processes.run(['join', invite, '--data', home]);
    return new ChatMember(processes, home, (await keptMemberKeys(home)).id, flags);
  }

  async start(): Promise<this> {
    const args = ['member', '--data', this.home, '--port', '0', '--ring-port', '0', ...this.#flags];
    this.child = await this.#processes.start(args, /^member is up$/);
    const connection = await connectToDaemon(this.home);
    this.chat = connection.client(ChatServiceDefinition);
    this.#disconnect = () => connection.close();
    void this.#watch();
    await this.chat.changeRoom({ room: 'lobby', change: { $case: 'join', value: {} } }, { deadlineMs: 60_000 });
    return this;
  }

  async #watch(): Promise<void> {
    try {
      for await (const { event } of this.chat.watchChat({})) if (event !== undefined) this.onEvent(event);
    } catch {
      // It has ended.
    }
  }

  async say(text: string): Promise<void> {
    await this.chat.sendMessage({ room: 'lobby', text, mentions: [], file: undefined, isAwaited: false });
  }

  async restart(flags: readonly string[]): Promise<void> {
    await this.kill();
    this.#flags = flags;
    await this.start();
  }

  /** As `kill -9`. */
  async kill(): Promise<void> {
    this.#disconnect();
    await this.#processes.kill(this.child);
  }
}

/** Directory, naming, and members that have joined. */
export async function startChatNetwork(
  processes: Processes,
  {
    home,
    url,
    httpUrl,
    members,
    flags,
  }: { home: string; url: string; httpUrl: string; members: number; flags: readonly string[] },
): Promise<ChatMember[]> {
  const data = join(home, 'directory');
  const broker = ['--data', data, '--broker', url, '--broker-http', httpUrl];
  await processes.start(['directory', ...broker, '--directory-port', '0'], /^directory is up$/);
  const naming = ['naming', '--data', data, '--broker', url, '--naming-port', '0', '--dns-port', '0'];
  await processes.start(naming, /^naming is up$/);
  const joined: ChatMember[] = [];
  for (let at = 0; at < members; at++) {
    const invite = await processes.run(['invite', '--user', `user${at}`, ...broker]);
    joined.push(await (await ChatMember.join(processes, invite, join(home, `member${at}`), flags)).start());
  }
  return joined;
}
