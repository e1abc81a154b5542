import { cpus, release, totalmem } from 'node:os';
import { nginxVersion } from './nginx.ts';

/** Where it was measured, one fact a line: figures mean nothing without it. */
export function describeMachine(load: string, broker: string | undefined): Record<string, string> {
  const processors = cpus();
  return {
    CPU: `${processors[0]?.model.trim() ?? 'unknown'}, ${processors.length} cores`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: release(),
    Node: process.version,
    broker: broker ?? 'none',
    nginx: nginxVersion() ?? 'none',
    'load generator': load,
    date: new Date().toISOString().slice(0, 10),
  };
}
