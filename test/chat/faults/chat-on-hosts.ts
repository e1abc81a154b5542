import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { GetChatResponse } from '../../../proto/gen/warren/chat/v1/chat.ts';
import { temporaryDir } from '../../support/broker.ts';
import { type BrokerOnHost, brokerOnHost } from '../../support/broker-on-host.ts';
import { createHosts, type Hosts } from '../../support/hosts.ts';
import { until } from '../../support/until.ts';
import { spawnWarren, type WarrenProcess } from '../../support/warren-process.ts';
import { MemberOnHost } from './member-on-host.ts';

const run = promisify(execFile);

export const chatName = 'backend.com';
const names = ['ann', 'bob', 'cleo', 'dan', 'eve', 'fay', 'gus'];

export interface QueueFigures {
  readonly messages: number;
  readonly consumers: number;
}

/** Machines of a network: host 0 has broker, directory and naming; each of the others has a member, which reaches nothing but the broker. */
export class ChatOnHosts implements AsyncDisposable {
  readonly hosts: Hosts;
  readonly broker: BrokerOnHost;
  readonly members: MemberOnHost[] = [];
  readonly #home: string;
  #naming: WarrenProcess | undefined;
  readonly #ends: (() => unknown)[] = [];

  private constructor(hosts: Hosts, broker: BrokerOnHost, home: string) {
    this.hosts = hosts;
    this.broker = broker;
    this.#home = home;
  }

  /** @param flags of the members */
  static async start(count: number, flags: readonly string[]): Promise<ChatOnHosts> {
    const hosts = await createHosts(count + 1);
    let network: ChatOnHosts | undefined;
    try {
      for (let host = 1; host <= count; host++) await hosts.isolate(host);
      const broker = await brokerOnHost(hosts, await temporaryDir());
      network = new ChatOnHosts(hosts, broker, await temporaryDir());
      await network.#startDirectory();
      await network.startNaming();
      const home = await Promise.all(names.slice(0, count).map(() => temporaryDir()));
      for (const [at, name] of names.slice(0, count).entries()) {
        const as = { name, host: at + 1, home: home[at] ?? '', invite: await network.#invite(name), flags };
        network.members.push(await MemberOnHost.join(hosts, as));
      }
      for (const member of network.members) await member.start();
      return network;
    } catch (error) {
      await (network ?? hosts)[Symbol.asyncDispose]();
      throw error;
    }
  }

  get #brokerFlags(): string[] {
    return ['--data', this.#home, '--broker', this.broker.url, '--broker-http', this.broker.httpUrl];
  }

  get #placeFlags(): string[] {
    return ['--broker-address', `amqp://${this.hosts.address(0)}:5672`];
  }

  async #startDirectory(): Promise<void> {
    const argv = ['directory', ...this.#brokerFlags, ...this.#placeFlags, '--directory-port', '0'];
    const directory = await spawnWarren(argv, {}, this.hosts.on(0));
    this.#ends.push(() => directory[Symbol.asyncDispose]());
    await directory.line(/^directory is up$/);
  }

  async startNaming(): Promise<void> {
    const argv = ['naming', '--data', this.#home, '--broker', this.broker.url];
    this.#naming = await spawnWarren([...argv, '--naming-port', '0', '--dns-port', '0'], {}, this.hosts.on(0));
    await this.#naming.line(/^naming serves/);
  }

  /** As `kill -9`. */
  async killNaming(): Promise<void> {
    await this.#naming?.[Symbol.asyncDispose]();
  }

  /** What `dig` on that machine is told by naming, a record each, sorted. */
  async dig(type: string): Promise<string[]> {
    const place = await this.#naming?.line(/^naming answers DNS at /);
    const port = /:(\d+) for /.exec(place ?? '')?.[1] ?? '';
    const [program = '', ...args] = [...this.hosts.on(0), 'dig', '@127.0.0.1', '-p', port, chatName, type, '+short'];
    return (await run(program, args)).stdout.trim().split('\n').sort();
  }

  async #invite(user: string): Promise<string> {
    const argv = ['invite', '--user', user, ...this.#brokerFlags, ...this.#placeFlags];
    await using inviting = await spawnWarren(argv, {}, this.hosts.on(0));
    await inviting.exit;
    const line = inviting.lines.find(text => text.startsWith('warren1-'));
    if (line === undefined) throw new Error(inviting.lines.join('\n'));
    return line;
  }

  /** Those that answer, and how the chat looks to them. */
  async look(): Promise<{ member: MemberOnHost; chat: GetChatResponse }[]> {
    const all = await Promise.all(this.members.map(async member => ({ member, chat: await member.look() })));
    return all.flatMap(({ member, chat }) => (chat === undefined ? [] : [{ member, chat }]));
  }

  /** The one that serves now; waits for one. */
  async active(withinMs = 60_000): Promise<MemberOnHost> {
    const find = async (): Promise<MemberOnHost | string> => {
      const seen = await this.look();
      const last = Math.max(...seen.map(({ chat }) => chat.serving?.epoch ?? 0));
      const isServing = ({ mode, serving }: GetChatResponse): boolean => mode === 'active' && serving?.epoch === last;
      const found = seen.find(({ chat }) => isServing(chat))?.member;
      return found ?? seen.map(({ member, chat }) => `${member.name}: ${chat.mode} ${chat.serving?.epoch}`).join(', ');
    };
    const found = await until(find, seen => typeof seen !== 'string', withinMs);
    if (typeof found === 'string') throw new Error(found);
    return found;
  }

  /** How often a server has begun to hand over as planned, in the runs that last. */
  get handOvers(): number {
    return this.members.reduce((sum, member) => sum + member.said(/: freezing, hands over to /), 0);
  }

  /** Of the chat's input, as the broker's management API has them. */
  async input(): Promise<QueueFigures> {
    const { messages, consumers } = JSON.parse(await this.#askQueue()) as QueueFigures;
    return { messages, consumers };
  }

  async #askQueue(): Promise<string> {
    const { origin, pathname, username, password } = new URL(this.broker.httpUrl);
    const path = `${origin}${pathname.replace(/\/$/, '')}/api/queues/%2F/chat.${chatName}.in`;
    const authorization = `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`;
    const ask = `fetch(${JSON.stringify(path)}, { headers: { authorization: ${JSON.stringify(authorization)} } }).then(r => r.text()).then(t => console.log(t))`;
    const [program = '', ...args] = [...this.hosts.on(0), process.execPath, '-e', ask];
    return (await run(program, args)).stdout;
  }

  /** What all have said last. */
  async lastWords(): Promise<string> {
    const tail = (name: string, lines: readonly string[]): string[] => lines.slice(-12).map(line => `${name}: ${line}`);
    const naming = tail('naming', this.#naming?.lines ?? []);
    const said = [...naming, ...this.members.flatMap(({ name, lines }) => tail(name, lines))];
    return [...said, await this.#askQueue().catch(String)].join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map(member => member.kill()));
    await this.killNaming();
    for (const end of this.#ends.splice(0).reverse()) await end();
    await this.broker[Symbol.asyncDispose]();
    await this.hosts[Symbol.asyncDispose]();
  }
}
