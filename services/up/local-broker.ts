/**
 * A broker that this process started as another one on this machine, and ends with it. Bound to 127.0.0.1 only.
 *
 * Modes: *running* (from `startRabbitNode` / `startContainer`, in tests also `startEmbeddedProcess`, or `start`) → *frozen* (`freeze`) → *running* (`thaw`);
 * *running* or *frozen* → *stopped* (`stop`, `kill`, or by itself) → *running* (`start`, same port, same data);
 * any → *closed* (`close`), for good. A call that does not fit the mode does nothing.
 */
export interface LocalBroker {
  /** amqp://user:password@127.0.0.1:port, the same over all restarts. */
  readonly url: string;
  /** Of its HTTP API, with the account, the same over all restarts; where there is one. */
  readonly httpUrl?: string;
  /** As the broker says it in its handshake, e.g. `3.10.8`. */
  readonly version: string;
  readonly kind: 'rabbitmq-node' | 'container' | 'embedded';
  /** One line for people, without the password: which broker, where, its data. */
  readonly describe: string;
  /** Of the Erlang VM or Node, while it runs as our own process. */
  readonly pid?: number | undefined;
  /** Resolves when it answers a login again. Rejects with a Failure whose code begins with `BROKER_`. */
  start(): Promise<void>;
  /** Gracefully, killed after 20 s (the embedded one after 3). Resolves when none of its processes is left. */
  stop(): Promise<void>;
  /** `kill -9`. Resolves when none of its processes is left. */
  kill(): Promise<void>;
  /** It keeps its sockets open and says nothing (SIGSTOP, or the same for a container). */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Stops it and removes everything but the data that was to be kept. */
  close(): Promise<void>;
}

/** What a password and a user name of ours may be made of: safe in a URL, a configuration file and a shell. */
export const plainWord = /^[A-Za-z0-9_-]+$/;

export function managementUrlOf(account: { user: string; password: string }, port: number): string {
  return `http://${account.user}:${account.password}@127.0.0.1:${port}`;
}

export function brokerUrlOf(account: { user: string; password: string }, port: number): string {
  return `amqp://${account.user}:${account.password}@127.0.0.1:${port}`;
}
