import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Child, Children } from './children.ts';
import { freePorts, untilOk } from './ports.ts';

export interface WarrenOptions {
  /** A checkout of Warren: this one, or another to compare with. */
  readonly root: string;
  readonly service: string;
  readonly brokerUrl: string;
  readonly upstream: string;
  /** Working and data folder, so that nobody's settings file is picked up. */
  readonly home: string;
  /** Folder for a CPU profile of each process, written when it ends. */
  readonly profiles?: string;
}

export interface WarrenProcesses {
  readonly url: string;
  readonly proxy: Child;
  readonly worker: Child;
}

/** Proxy and worker as in a deployment, one process each; resolves when the proxy has a live worker. */
export async function startWarren(children: Children, options: WarrenOptions): Promise<WarrenProcesses> {
  const { root, service, brokerUrl, upstream, home } = options;
  mkdirSync(home, { recursive: true });
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('WARREN_')));
  // As nginx without its access log: a line a request is not what is compared.
  const common = ['--broker', brokerUrl, '--log', 'off'];
  const start = (command: string, flags: readonly string[]): Child =>
    children.start(
      `${command} of ${service}`,
      process.execPath,
      [...profiling(options, command), resolve(root, 'bin/warren.js'), command, ...common, ...flags],
      { cwd: home, env: { ...env, WARREN_DATA: join(home, command) } },
    );
  const [port = 0, adminPort = 0] = await freePorts(2);
  const worker = start('worker', ['--service', service, '--upstream', upstream]);
  const ports = ['--port', `${port}`, '--admin-port', `${adminPort}`];
  const proxy = start('proxy', ['--host', '127.0.0.1', ...ports, '--route', `*/=${service}`]);
  await Promise.race([untilOk(`http://127.0.0.1:${adminPort}/readyz`), proxy.failed, worker.failed]);
  return { url: `http://127.0.0.1:${port}`, proxy, worker };
}

function profiling({ profiles, service }: WarrenOptions, command: string): string[] {
  if (profiles === undefined) return [];
  const time = new Date().toISOString().replaceAll(':', '').slice(0, 17);
  return ['--cpu-prof', `--cpu-prof-dir=${profiles}`, `--cpu-prof-name=${command}-${service}-${time}.cpuprofile`];
}
