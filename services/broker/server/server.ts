import { randomBytes } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { totalmem } from 'node:os';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { listen } from '../../lib/listen.ts';
import { AmqpError } from '../amqp/error.ts';
import { Broker } from '../core/broker.ts';
import type { Ledger, Recovered } from '../store/ledger.ts';
import type { Accounts } from './accounts.ts';
import { leaveCleanMark } from './clean-mark.ts';
import { Connection } from './connection.ts';
import type { ConnectionHost } from './connection-host.ts';
import { DirectReplies } from './direct-replies.ts';
import { socketWire } from './wire.ts';

export interface BrokerServerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer; readonly ca?: Buffer };
  /** Bytes of messages in memory above which publishers are blocked. Default 40 % of the machine's. */
  readonly memoryLimit?: number;
  /** Free bytes below which publishers are blocked. Default 50 MB, as RabbitMQ. */
  readonly diskFreeLimit?: number;
  /** Where the ledger is; undefined for `--memory`. */
  readonly dir?: string | undefined;
}

export interface BrokerServerParts {
  readonly ledger: Ledger;
  readonly recovered?: Recovered;
  /** Whether who last wrote it ended in order (`takeCleanMark`). */
  readonly wasClean?: boolean;
  readonly accounts: Accounts;
  readonly version: string;
  readonly warn: (line: string) => void;
}

const tickMs = 250;
/** Of silence, until the system asks whether the other side is there. */
const keepAliveMs = 60_000;
const maxConnections = 10_000;
/**
 * Bytes of publishes on their way in that do not count as memory used: who is blocked in the middle of one cannot end it, and a small limit
 * would wait for itself.
 */
const unfinishedAllowance = 64 * 1024 * 1024;

/** With authorities given, clients must have a certificate of theirs. */
function tlsOptions(tls: NonNullable<BrokerServerOptions['tls']>): TlsOptions {
  const isMutual = tls.ca !== undefined;
  return {
    ...tls,
    minVersion: 'TLSv1.2',
    handshakeTimeout: 5_000,
    requestCert: isMutual,
    rejectUnauthorized: isMutual,
  };
}

/** The broker on its sockets. */
export class BrokerServer implements ConnectionHost {
  readonly broker: Broker;
  readonly replies: DirectReplies;
  readonly version: string;
  readonly accounts: Accounts;
  readonly ledger: Ledger;
  readonly warn: (line: string) => void;
  readonly #options: BrokerServerOptions;
  readonly #connections = new Set<Connection>();
  readonly #sockets = new Set<Socket>();
  #dirty: { flush(): void }[] = [];
  #server: Server | undefined;
  #timer: NodeJS.Timeout | undefined;
  #alarm: string | undefined;
  /** It cannot write: nothing is confirmed. */
  #ledgerProblem: string | undefined;
  #lowDisk: string | undefined;
  #ticks = 0;

  constructor(
    { ledger, recovered, wasClean, accounts, version, warn }: BrokerServerParts,
    options: BrokerServerOptions,
  ) {
    this.#options = options;
    this.warn = warn;
    this.version = version;
    this.accounts = accounts;
    this.ledger = ledger;
    this.replies = new DirectReplies(() => this.randomName());
    const clock = {
      now: () => Date.now(),
      after: (ms: number, act: () => void) => {
        // It cannot be longer; whoever waits looks at the time again.
        const timer = setTimeout(act, Math.min(ms, 2 ** 31 - 1));
        return () => clearTimeout(timer);
      },
    };
    this.broker = new Broker({ ledger, clock, warn }, recovered && { ...recovered, wasClean: wasClean === true });
    ledger.onError(failure => {
      warn(failure.message);
      // The others concern its cleaning: it confirms as before.
      if (failure.code !== 'DISK_FULL' && failure.code !== 'DISK_ERROR') return;
      this.#ledgerProblem = failure.message;
      this.#watch();
    });
    ledger.onResume(() => {
      this.#ledgerProblem = undefined;
      this.#watch();
    });
  }

  get alarm(): string | undefined {
    return this.#alarm;
  }

  now(): number {
    return performance.now();
  }

  login(...login: Parameters<Accounts['login']>): ReturnType<Accounts['login']> {
    return this.accounts.login(...login);
  }

  admit(user: string, what: 'connection' | 'channel'): void {
    const { connections, channels } = this.accounts.find(user)?.limits ?? {};
    const limit = what === 'connection' ? connections : channels;
    if (limit === undefined) return;
    let count = 0;
    for (const each of this.#connections)
      if (each.isRunning && each.user === user) count += what === 'connection' ? 1 : each.channelCount;
    if (count < limit) return;
    throw new AmqpError(
      530,
      what === 'connection'
        ? `connection refused for user '${user}': user connection limit (${limit}) is reached`
        : `number of channels opened for user '${user}' has reached the maximum allowed user limit of (${limit})`,
    );
  }

  randomName(): string {
    return randomBytes(16).toString('base64url');
  }

  dirty(connection: { flush(): void }): void {
    if (this.#dirty.push(connection) === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const connection of dirty) connection.flush();
  }

  connections(): IterableIterator<Connection> {
    return this.#connections.values();
  }

  /** @returns the port @throws Failure PORT_TAKEN, LISTEN */
  async listen(): Promise<number> {
    const { tls, host, port } = this.#options;
    const accept = (socket: Socket): void => this.#accept(socket);
    this.#server = tls ? createTlsServer(tlsOptions(tls), accept) : createTcpServer(accept);
    this.#server.maxConnections = maxConnections;
    // Also those that have not come so far as to be connections: the end must not wait for them.
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('tlsClientError', () => {});
    const bound = await listen(this.#server, { host, port });
    // After what has come in is read: when the process stood still, nobody was silent but we.
    this.#timer = setInterval(() => setImmediate(() => this.#tick()), tickMs);
    return bound;
  }

  #accept(socket: Socket): void {
    const connection = new Connection(this, socketWire(socket));
    this.#connections.add(connection);
    // Whom an alarm blocks is not heard, and may have no heartbeats: the system finds out that its machine has gone.
    socket.setKeepAlive(true, keepAliveMs);
    socket.on('data', chunk => connection.receive(chunk));
    socket.on('drain', () => connection.drained());
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      connection.lost();
      this.#connections.delete(connection);
    });
  }

  #tick(): void {
    const now = this.now();
    for (const connection of this.#connections) connection.tick(now);
    this.#watch();
    if (++this.#ticks % 4 === 0) this.broker.keepHeld();
    if (this.#ticks % 40 === 0) this.broker.retain();
    const { dir, diskFreeLimit = 50_000_000 } = this.#options;
    if (dir !== undefined && this.#ticks % 20 === 0) {
      void statfs(dir).then(
        ({ bavail, bsize }) => {
          const free = bavail * bsize;
          this.#lowDisk = free < diskFreeLimit ? `low on disk: ${free} bytes free` : undefined;
          this.#watch();
        },
        () => {},
      );
    }
  }

  /** Blocks publishers, or lets them go on. */
  #watch(): void {
    const limit = this.#options.memoryLimit ?? totalmem() * 0.4;
    // Between the limit and nine tenths of it nothing changes, or they would be blocked and let go in turns.
    const { heldBytes, unsyncedBytes } = this.ledger.stats;
    let used = this.broker.heldBytes + heldBytes + unsyncedBytes;
    let unfinished = 0;
    for (const { outbox, unfinishedBytes } of this.#connections) {
      used += outbox.unsentBytes;
      unfinished += unfinishedBytes;
    }
    used += Math.max(0, unfinished - unfinishedAllowance);
    const isLow = used > (this.#alarm === undefined ? limit : limit * 0.9);
    const alarm = this.#ledgerProblem ?? this.#lowDisk ?? (isLow ? 'low on memory' : undefined);
    if ((alarm === undefined) === (this.#alarm === undefined)) return;
    this.#alarm = alarm;
    for (const connection of this.#connections) connection.alarmChanged();
  }

  /** Says good-bye to all clients, writes what is left. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    const closed = new Promise<void>(resolve =>
      this.#server?.listening ? this.#server.close(() => resolve()) : resolve(),
    );
    // What one client gives back must not go to the next, to be given back by that.
    this.broker.halt();
    for (const connection of [...this.#connections])
      connection.close("broker forced connection closure with reason 'shutdown'");
    this.#flush();
    const patience = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, 500);
    await closed;
    clearTimeout(patience);
    await this.ledger.close();
    const { dir } = this.#options;
    if (dir !== undefined) await leaveCleanMark(dir).catch(() => {});
  }
}
