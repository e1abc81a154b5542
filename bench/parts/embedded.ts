import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

export interface EmbeddedBroker {
  readonly url: string;
  /** Of its HTTP API, with the account. */
  readonly httpUrl: string;
  readonly pid: number;
  /** From the start of the process. */
  readonly readyMs: number;
  close(): void;
}

/** The broker of this checkout, in a process of its own. @param dir for its data */
export async function startEmbedded(dir: string): Promise<EmbeddedBroker> {
  const bin = resolve(import.meta.dirname, '../../bin/warren.js');
  const env = { ...process.env, WARREN_BROKER_PASSWORD: 'bench' };
  const startedAt = performance.now();
  const child = spawn(
    process.execPath,
    [bin, 'broker', '--port', '0', '--http-port', '0', '--user', 'bench', '--data', dir],
    { env, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const lines = createInterface({ input: child.stdout });
  let port: string | undefined;
  for await (const line of lines) {
    port ??= /amqp:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    const httpPort = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port === undefined || httpPort === undefined) continue;
    const readyMs = performance.now() - startedAt;
    return {
      url: `amqp://bench:bench@127.0.0.1:${port}`,
      httpUrl: `http://bench:bench@127.0.0.1:${httpPort}`,
      pid: child.pid ?? 0,
      readyMs,
      close: () => void child.kill('SIGTERM'),
    };
  }
  throw new Error('the embedded broker ended before it was ready');
}
