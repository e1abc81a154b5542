import { createHash } from 'node:crypto';
import { chmod, mkdir, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Failure } from '../lib/failure.ts';
import { askBroker } from './amqp-hello.ts';
import { docker } from './docker.ts';
import { freePort } from './free-port.ts';
import { brokerUrlOf, type LocalBroker, managementUrlOf, plainWord } from './local-broker.ts';
import { tether } from './tether.ts';

export const brokerImage = 'rabbitmq:4-management';

export interface ContainerOptions {
  /** Made 0700; holds the configuration, and names the container and its volume. */
  readonly dir: string;
  /** An administrator, made when the data is new. With data from an earlier run: the same account as then. */
  readonly user: string;
  readonly password: string;
  /** Of 127.0.0.1. A free one when absent; the same over restarts. */
  readonly port?: number;
  /** With the management plugin, on a free port of 127.0.0.1: a second more to boot, and its share of each message. Default without. */
  readonly management?: boolean;
  /** Whether the volume with the data outlives `close`. Default true. */
  readonly keepData?: boolean;
  /** Ends the first start. */
  readonly signal?: AbortSignal;
}

/** Ten seconds is usual on a loaded machine. */
const bootDeadlineMs = 90_000;

/** When its input ends: stops the container (SIGKILL after 20 s) and removes it. $1 its name, $2 a volume to remove. */
const script = `
exec 3<&0 </dev/null
echo held
while read -r _; do :; done <&3
trap '' TERM
docker unpause "$1"; docker stop -t 20 "$1"; docker rm -f "$1"
[ -z "$2" ] || docker volume rm -f "$2"
`;

/**
 * Starts RabbitMQ in a Docker container, its port open on 127.0.0.1 only. The container ends with this process, however
 * that ends; its data is in a volume of the same name. One that an earlier owner of the directory left is removed first.
 * @throws Failure DOCKER (the engine says no), BROKER_START (it did not boot), BROKER_REFUSED (the data was made with
 * another account)
 */
export async function startContainer(options: ContainerOptions): Promise<LocalBroker> {
  const { signal, keepData = true } = options;
  if (!plainWord.test(options.user) || !plainWord.test(options.password))
    throw new Failure('BROKER_START', 'the broker account must be of letters, digits, - and _');
  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  await chmod(options.dir, 0o700);
  const dir = await realpath(options.dir);
  const name = `warren-broker-${createHash('sha256').update(dir).digest('hex').slice(0, 12)}`;
  const mounts = await writeConfiguration(dir, options);
  const port = options.port ?? (await freePort());
  const url = brokerUrlOf(options, port);
  const httpPort = options.management ? await freePort() : undefined;
  await docker(['rm', '-f', name], { signal }).catch(ignoreFailure);

  const held = tether(script, [name, keepData ? '' : name], { env: process.env, graceMs: 45_000 });
  await held.firstLine;
  let isClosed = false;
  const close = async (): Promise<void> => {
    isClosed = true;
    held.release();
    await held.ended;
  };

  /** @returns the version, as it says itself */
  const ready = async (stop?: AbortSignal): Promise<string> => {
    for (const deadline = performance.now() + bootDeadlineMs; ; await wait(100)) {
      stop?.throwIfAborted();
      try {
        const { version } = await askBroker(url);
        if (httpPort === undefined || (await answersHttp(httpPort))) return version;
      } catch (error) {
        if (!(error instanceof Failure) || error.code === 'BROKER_REFUSED') throw error;
      }
      const state = await docker(['inspect', '--format', '{{.State.Status}}', name], { signal: stop });
      if (state === 'running' && performance.now() < deadline) continue;
      const why = state === 'running' ? `not ready after ${bootDeadlineMs / 1_000} s` : `it is ${state}`;
      const logs = await docker(['logs', '--tail', '1', name]).catch(() => '');
      throw new Failure('BROKER_START', `the container ${name} did not start: ${why} (docker logs ${name}: ${logs})`);
    }
  };
  try {
    const run = ['create', '--name', name, '--hostname', 'warren', '--publish', `127.0.0.1:${port}:5672`];
    if (httpPort !== undefined) run.push('--publish', `127.0.0.1:${httpPort}:15672`);
    await docker([...run, '--volume', `${name}:/var/lib/rabbitmq`, ...mounts, brokerImage], { signal });
    await docker(['start', name], { signal });
    const version = await ready(signal);
    return {
      url,
      ...(httpPort === undefined ? {} : { httpUrl: managementUrlOf(options, httpPort) }),
      version,
      kind: 'container',
      describe: `RabbitMQ ${version} in the Docker container ${name}, 127.0.0.1:${port}, data in the volume ${name}`,
      start: async () => {
        if (isClosed) return;
        await docker(['start', name]);
        await ready();
      },
      stop: async () => {
        // A paused process gets no signal.
        await docker(['unpause', name]).catch(ignoreFailure);
        await docker(['stop', '-t', '3', name]).catch(ignoreFailure);
      },
      kill: async () => {
        await docker(['kill', name]).catch(ignoreFailure);
        await docker(['wait', name]).catch(ignoreFailure);
      },
      freeze: async () => void (await docker(['pause', name])),
      thaw: async () => void (await docker(['unpause', name])),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * The password goes in by a file and not by the environment, where `docker inspect` shows it. The file is readable to
 * all, because the container's user is none that this machine knows; the directory around it is ours alone.
 */
async function writeConfiguration(dir: string, account: ContainerOptions): Promise<string[]> {
  const files = {
    'conf.d/90-warren.conf': `default_user = ${account.user}\ndefault_pass = ${account.password}\n`,
    enabled_plugins: account.management ? '[rabbitmq_management].\n' : '[].\n',
  };
  const mounts: string[] = [];
  for (const [name, text] of Object.entries(files)) {
    const file = join(dir, name.replace('conf.d/', ''));
    await writeFile(file, text);
    await chmod(file, 0o644);
    mounts.push('--volume', `${file}:/etc/rabbitmq/${name}:ro`);
  }
  return mounts;
}

/** Docker opens the port at once; the plugin behind it comes a little later than the broker. */
async function answersHttp(port: number): Promise<boolean> {
  try {
    await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1_000) });
    return true;
  } catch {
    return false;
  }
}

/** For what may have gone already; a client that cannot reach the engine has no better answer either. */
function ignoreFailure(error: unknown): void {
  if (!(error instanceof Failure)) throw error;
}
