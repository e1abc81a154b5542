import { resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { askBroker } from '../../services/up/amqp-hello.ts';
import { freePort } from '../../services/up/free-port.ts';
import { brokerUrlOf, type LocalBroker } from '../../services/up/local-broker.ts';
import { type Tether, tether } from '../../services/up/tether.ts';

const bin = resolve(import.meta.dirname, '../../bin/warren.js');
const bootDeadlineMs = 20_000;

/** Holds the broker; when its input ends (we are gone, however we went): SIGTERM, and SIGKILL after 3 s. */
const script = `
exec 3<&0 </dev/null
"$@" & child=$!
echo $child
(
  while read -r _; do :; done
  trap '' TERM
  kill -TERM $child; kill -CONT $child
  n=0; while kill -0 $child && [ $n -lt 150 ]; do sleep 0.02; n=$((n+1)); done
  kill -KILL $child
) <&3 >/dev/null 2>&1 & watch=$!
exec 3<&-
wait $child
kill $watch 2>/dev/null
wait
`;

export interface EmbeddedProcess extends LocalBroker {
  readonly httpUrl: string;
  /** What it has printed since its last start, the end of it; resolves when it has ended. */
  readonly ended: Promise<string>;
}

export interface EmbeddedProcessOptions {
  /** `--data` */
  readonly dir: string;
  readonly user: string;
  readonly password: string;
  /** Flags besides. */
  readonly flags?: readonly string[];
}

/** `warren broker` as a process of its own, on a free port of 127.0.0.1 that it keeps over restarts. */
export async function startEmbeddedProcess({
  dir,
  user,
  password,
  flags = [],
}: EmbeddedProcessOptions): Promise<EmbeddedProcess> {
  const port = await freePort();
  const httpPort = await freePort();
  const url = brokerUrlOf({ user, password }, port);
  const argv = ['broker', '--port', String(port), '--http-port', String(httpPort), '--data', dir, '--user', user];
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('WARREN_')));
  const env = { ...clean, WARREN_BROKER_PASSWORD: password };
  let held: Tether | undefined;
  let pid: number | undefined;
  let isClosed = false;

  const boot = async (): Promise<string> => {
    const mine = tether(script, [process.execPath, bin, ...argv, ...flags], { env, graceMs: 5_000 });
    held = mine;
    let lastOutput: string | undefined;
    void mine.ended.then(output => {
      lastOutput = output;
      if (held !== mine) return;
      held = undefined;
      pid = undefined;
    });
    await mine.firstLine.then(line => {
      pid = Number(line);
    });
    for (const deadline = performance.now() + bootDeadlineMs; ; await wait(10)) {
      if (lastOutput !== undefined) throw new Error(`the embedded broker did not start: ${lastOutput}`);
      try {
        return (await askBroker(url)).version;
      } catch (error) {
        if (performance.now() < deadline) continue;
        mine.release();
        throw error;
      }
    }
  };
  const stop = async (): Promise<void> => {
    const mine = held;
    mine?.release();
    await mine?.ended;
  };
  const send = (signal: NodeJS.Signals): void => {
    try {
      if (pid !== undefined) process.kill(pid, signal);
    } catch {
      // It went in this moment.
    }
  };

  const version = await boot();
  return {
    url,
    httpUrl: `http://${user}:${password}@127.0.0.1:${httpPort}`,
    version,
    kind: 'embedded',
    describe: `Warren ${version}, embedded, 127.0.0.1:${port}, data in ${dir}`,
    get pid() {
      return pid;
    },
    get ended() {
      return held?.ended ?? Promise.resolve('');
    },
    start: async () => {
      if (!isClosed && held === undefined) await boot();
    },
    stop,
    kill: async () => {
      const mine = held;
      // Its id is not known sooner.
      await mine?.firstLine.catch(() => {});
      send('SIGKILL');
      await mine?.ended;
    },
    freeze: async () => send('SIGSTOP'),
    thaw: async () => send('SIGCONT'),
    close: async () => {
      isClosed = true;
      await stop();
    },
  };
}
