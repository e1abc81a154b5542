import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Failure, messageOf } from '../lib/failure.ts';
import { endProcess } from '../lib/process-table.ts';
import { askBroker } from './amqp-hello.ts';
import { freePort, isFree } from './free-port.ts';
import { brokerUrlOf, type LocalBroker, managementUrlOf, plainWord } from './local-broker.ts';
import { logFileOf, prepareNode } from './rabbitmq-environment.ts';
import { findRabbit } from './rabbitmq-install.ts';
import { type Tether, tether } from './tether.ts';

export interface RabbitNodeOptions {
  /** Made 0700; everything of the node is in it: configuration, data, logs. One node at a time. */
  readonly dir: string;
  /** An administrator, made when the data is new. With data from an earlier run: the same account as then. */
  readonly user: string;
  readonly password: string;
  /** Of 127.0.0.1. A free one when absent; the same over restarts. */
  readonly port?: number;
  /** With the management plugin, on a free port: a second more to boot, and its share of each message. Default without. */
  readonly management?: boolean;
  /** Ends the first start. */
  readonly signal?: AbortSignal;
}

/** Boots take 2 s, 10 s on a loaded machine; what takes longer is not coming. */
const bootDeadlineMs = 60_000;

/**
 * Holds an epmd (Erlang's port mapper, which would otherwise start by itself on 4369 and stay for good) and the server.
 * When its input ends: SIGTERM to the Erlang VM, SIGKILL after 20 s, as one that was
 * cut in the middle of its stop seems to have lost what it had confirmed (3.10.8, on a loaded machine). $1 epmd, $2 its port, $3 the
 * server, $4 the pid file.
 */
const script = `
exec 3<&0 </dev/null
umask 077
"$1" -address 127.0.0.1 -port "$2" & epmd=$!
n=0; until "$1" -port "$2" -names >/dev/null 2>&1 || [ $n -ge 50 ]; do sleep 0.1; n=$((n+1)); done
"$3" & beam=$!
held="$beam $epmd $2"
echo "$held" >"$4"
echo "$beam"
(
  while read -r _; do :; done
  trap '' TERM
  kill -TERM $beam; kill -CONT $beam
  n=0; while kill -0 $beam && [ $n -lt 200 ]; do sleep 0.1; n=$((n+1)); done
  kill -KILL $beam
) <&3 >/dev/null 2>&1 & watch=$!
exec 3<&-
wait $beam
kill $watch $epmd 2>/dev/null
wait
[ "$(cat "$4")" = "$held" ] && rm "$4"
`;

/**
 * Starts a private RabbitMQ from the one that is installed here, listening on 127.0.0.1 only. It ends with this process,
 * however that ends. A node that an earlier owner of the directory left behind is ended first.
 * @throws Failure NO_BROKER (none installed), PORT_TAKEN, BROKER_START (it did not boot; names the log),
 * BROKER_REFUSED (the data was made with another account)
 */
export async function startRabbitNode(options: RabbitNodeOptions): Promise<LocalBroker> {
  const install = findRabbit();
  if (install === undefined)
    throw new Failure('NO_BROKER', 'no RabbitMQ is installed here: apt-get install rabbitmq-server');
  if (!plainWord.test(options.user) || !plainWord.test(options.password))
    throw new Failure('BROKER_START', 'the broker account must be of letters, digits, - and _');
  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  await chmod(options.dir, 0o700);
  const dir = await realpath(options.dir);
  const mark = `warren_node ${createHash('sha256').update(dir).digest('hex').slice(0, 12)}`;
  const pidFile = join(dir, 'node.pid');
  await endLeftBehind(pidFile, mark);

  const port = options.port ?? (await freePort());
  const url = brokerUrlOf(options, port);
  const httpPort = options.management ? await freePort() : undefined;
  const settings = { dir, port, httpPort, mark, user: options.user, password: options.password };
  let held: Tether | undefined;
  let pid: number | undefined;
  let booting: Promise<string> | undefined;
  let isClosed = false;

  const notStarted = (why: string): Failure =>
    new Failure('BROKER_START', `the private RabbitMQ in ${dir} did not start: ${why} (log: ${logFileOf(dir)})`);

  const send = (signal: NodeJS.Signals): void => {
    try {
      if (pid !== undefined) process.kill(pid, signal);
    } catch {
      // It went in this moment.
    }
  };

  const boot = async (signal?: AbortSignal): Promise<string> => {
    signal?.throwIfAborted();
    if (!(await isFree(port)))
      throw new Failure('PORT_TAKEN', `port 127.0.0.1:${port} is taken by another process: stop that one`);
    const env = await prepareNode(install, settings);
    const server = join(env.RABBITMQ_SCRIPTS_DIR ?? '', 'rabbitmq-server');
    const mine = tether(script, [install.epmd, env.ERL_EPMD_PORT ?? '', server, pidFile], { env, graceMs: 25_000 });
    held = mine;
    let lastOutput: string | undefined;
    const ended = mine.ended.then(output => {
      lastOutput = output;
      held = undefined;
      pid = undefined;
    });
    try {
      pid = Number(await mine.firstLine.catch(error => Promise.reject(notStarted(messageOf(error)))));
      for (const deadline = performance.now() + bootDeadlineMs; ; await wait(50)) {
        signal?.throwIfAborted();
        if (lastOutput !== undefined) throw notStarted(`it ended: ${lastWords(lastOutput)}`);
        try {
          const { version } = await askBroker(url);
          // It answers a little later than the broker.
          if (httpPort === undefined || !(await isFree(httpPort))) return version;
          if (performance.now() > deadline) throw notStarted('its management plugin does not answer');
        } catch (error) {
          if (!(error instanceof Failure) || error.code === 'BROKER_REFUSED') throw error;
          if (performance.now() > deadline) throw notStarted(`not ready after ${bootDeadlineMs / 1_000} s`);
        }
      }
    } catch (error) {
      // While it boots it does not hear SIGTERM.
      send('SIGKILL');
      mine.release();
      await ended;
      throw error;
    }
  };
  const start = async (): Promise<void> => {
    if (isClosed || (held !== undefined && booting === undefined)) return;
    booting ??= boot().finally(() => {
      booting = undefined;
    });
    await booting;
  };
  const stop = async (): Promise<void> => {
    const mine = held;
    mine?.release();
    await mine?.ended;
  };
  const version = await boot(options.signal);
  return {
    url,
    ...(httpPort === undefined ? {} : { httpUrl: managementUrlOf(options, httpPort) }),
    version,
    kind: 'rabbitmq-node',
    describe: `RabbitMQ ${version}, private to this machine, 127.0.0.1:${port}, data in ${dir}`,
    get pid() {
      return pid;
    },
    start,
    stop,
    kill: async () => {
      send('SIGKILL');
      await stop();
    },
    freeze: async () => send('SIGSTOP'),
    thaw: async () => send('SIGCONT'),
    close: async () => {
      isClosed = true;
      await stop();
    },
  };
}

/** The VM, and the port mapper if the shell that held both was killed too. */
async function endLeftBehind(pidFile: string, mark: string): Promise<void> {
  const [beam, epmd, epmdPort] = (await readFile(pidFile, 'utf8').catch(() => '')).split(/\s+/).map(Number);
  if (beam) await endProcess(beam, mark, 20_000);
  if (epmd) await endProcess(epmd, `-address 127.0.0.1 -port ${epmdPort}`, 1_000);
  await rm(pidFile, { force: true });
}

/** Of what the server printed, the line that says why. */
function lastWords(output: string): string {
  const lines = output.split('\n').map(line => line.trim());
  const telling = lines.filter(line => /error|eaddrinuse|eacces|failed|cannot|denied|no such/i.test(line));
  return telling[0] ?? lines.findLast(line => line !== '') ?? 'without a word';
}
