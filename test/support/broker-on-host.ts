import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { inject } from 'vitest';
import { randomHex } from '../../services/lib/random.ts';
import { ownBroker } from './broker.ts';
import type { Hosts } from './hosts.ts';
import { spawnWarren, type WarrenProcess } from './warren-process.ts';

/** A broker of the project's kind, as host 0 has it: AMQP on its address, the management API on its loopback. */
export interface BrokerOnHost extends AsyncDisposable {
  /** With an administrator's account. */
  readonly url: string;
  readonly httpUrl: string;
  /** As `kill -9`. */
  kill(): Promise<void>;
  /** On the same ports, with what it had. */
  start(): Promise<void>;
}

/**
 * The embedded one runs there. RabbitMQ, which listens on loopback or in a container, runs where the test does, and host 0 has its ports.
 * @param dir an empty folder
 */
export async function brokerOnHost(hosts: Hosts, dir: string): Promise<BrokerOnHost> {
  return inject('broker').kind === 'embedded' ? embedded(hosts, dir) : bridged(hosts, dir);
}

const amqpPort = 5672;
const httpPort = 15_672;

async function embedded(hosts: Hosts, dir: string): Promise<BrokerOnHost> {
  const [address, password] = [hosts.address(0), randomHex(32)];
  let running: WarrenProcess;
  const start = async (): Promise<void> => {
    const flags = ['--host', address, '--port', String(amqpPort), '--http-port', String(httpPort), '--data', dir];
    running = await spawnWarren(
      ['broker', ...flags, '--user', 'test'],
      { WARREN_BROKER_PASSWORD: password },
      hosts.on(0),
    );
    await running.line(/broker is up|serves|listens/);
  };
  await start();
  return {
    url: `amqp://test:${password}@${address}:${amqpPort}`,
    httpUrl: `http://test:${password}@127.0.0.1:${httpPort}`,
    start,
    kill: async () => {
      running.kill('SIGKILL');
      await running.exit;
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

async function bridged(hosts: Hosts, dir: string): Promise<BrokerOnHost> {
  const broker = await ownBroker({ management: true });
  const carry = async (name: string, url: string): Promise<{ socket: string; close(): void }> => {
    const { hostname: host, port } = new URL(url);
    const socket = join(dir, name);
    const server = createServer(near => {
      const far = connect({ host, port: Number(port), noDelay: true });
      near.on('error', () => far.destroy()).on('close', () => far.destroy());
      far.on('error', () => near.destroy()).on('close', () => near.destroy());
      near.pipe(far).pipe(near);
    });
    server.listen(socket);
    await once(server, 'listening');
    return { socket, close: () => server.close() };
  };
  const [amqp, http] = [await carry('amqp', broker.url), await carry('http', broker.httpUrl ?? '')];
  const child = resolve(import.meta.dirname, 'bridge-child.ts');
  const places = [`${hosts.address(0)}:${amqpPort}=${amqp.socket}`, `127.0.0.1:${httpPort}=${http.socket}`];
  const [program = '', ...args] = [...hosts.on(0), process.execPath, child, ...places];
  const bridge = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(bridge.stdout, 'data');
  const at = (url: string, host: string, port: number): string => {
    const parsed = new URL(url);
    parsed.hostname = host;
    parsed.port = String(port);
    return parsed.href.replace(/\/$/, '');
  };
  return {
    url: at(broker.url, hosts.address(0), amqpPort),
    httpUrl: at(broker.httpUrl ?? '', '127.0.0.1', httpPort),
    kill: () => broker.kill(),
    start: () => broker.start(),
    async [Symbol.asyncDispose]() {
      bridge.kill('SIGKILL');
      for (const each of [amqp, http]) each.close();
      await broker.close();
    },
  };
}
