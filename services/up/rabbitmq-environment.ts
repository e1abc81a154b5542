import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { leanHome, type RabbitInstall } from './rabbitmq-install.ts';

export interface NodeSettings {
  /** The node's own directory; exists, 0700. */
  readonly dir: string;
  readonly port: number;
  /** Of the management plugin, which runs if this is given. */
  readonly httpPort: number | undefined;
  readonly user: string;
  readonly password: string;
  /** Two words that end up on the VM's command line. */
  readonly mark: string;
}

/** Names no other node can clash with: the Erlang port mapper is the node's own. Kept when the directory is moved. */
const nodeName = 'warren@localhost';

export function logFileOf(dir: string): string {
  return join(dir, 'log', 'rabbit.log');
}

/**
 * Writes a node's configuration (0600) and returns the environment to start it with. Nothing of the caller's environment
 * and nothing in /etc/rabbitmq or a home directory has a say.
 */
export async function prepareNode(
  install: RabbitInstall,
  { dir, port, httpPort, user, password, mark }: NodeSettings,
): Promise<Record<string, string>> {
  const file = (name: string): string => join(dir, name);
  for (const name of ['home', 'log', 'data']) await mkdir(file(name), { recursive: true, mode: 0o700 });
  const configuration = [
    `listeners.tcp.1 = 127.0.0.1:${port}`,
    // Made when the data is new, instead of guest.
    `default_user = ${user}`,
    `default_pass = ${password}`,
    ...(httpPort === undefined ? [] : [`management.tcp.ip = 127.0.0.1`, `management.tcp.port = ${httpPort}`]),
  ];
  await writeFile(file('rabbitmq.conf'), `${configuration.join('\n')}\n`, { mode: 0o600 });
  const plugins = httpPort === undefined ? [] : ['rabbitmq_management'];
  await writeFile(file('enabled_plugins'), `[${plugins}].\n`, { mode: 0o600 });
  const home = leanHome(install, file('rabbitmq'), plugins);
  return {
    PATH: install.path,
    LANG: 'C.UTF-8',
    HOME: file('home'),
    ERL_EPMD_PORT: String(await freePort()),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_SCRIPTS_DIR: join(home, 'sbin'),
    RABBITMQ_NODENAME: nodeName,
    RABBITMQ_DIST_PORT: String(await freePort()),
    RABBITMQ_CONFIG_FILE: file('rabbitmq.conf'),
    RABBITMQ_CONFIG_FILES: file('no-conf.d'),
    RABBITMQ_ADVANCED_CONFIG_FILE: file('no-advanced.config'),
    RABBITMQ_CONF_ENV_FILE: file('no-env.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: file('enabled_plugins'),
    RABBITMQ_MNESIA_BASE: file('data'),
    RABBITMQ_LOG_BASE: file('log'),
    RABBITMQ_LOGS: logFileOf(dir),
    // The script then becomes the VM instead of waiting for it: one process less, and its id is known.
    RABBITMQ_ALLOW_INPUT: 'true',
    // Busy-waiting schedulers would take a core from everybody else.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `-noinput -${mark} -kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none`,
  };
}
