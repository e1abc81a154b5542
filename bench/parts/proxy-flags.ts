import { parseArgs } from 'node:util';
import type { Plan } from './rounds.ts';

export const usage = `npm run bench -- proxy [flags]
  --seconds S          of each measurement (5)
  --rounds R           of each cell, of which the median counts (3)
  --connections LIST   (1,64,256)
  --only LIST          subjects: a backend, b plain Node proxy, c nginx (c-pass, c-cache), d Warren,
                       e Warren cached, f request and reply over the bus
  --quick              2 s, 1 round
  --against DIR        measure another checkout beside this one (d-other, e-other)
  --broker URL         instead of a private RabbitMQ; --broker-pid PID to see its CPU time too
  --profile            CPU profiles of Warren's processes to bench/results/ (then: node bench/parts/top.ts FILE)
  --write              put the result into docs/benchmarks.md
`;

export interface ProxyFlags {
  readonly plan: Plan;
  readonly isWanted: (key: string) => boolean;
  readonly against: string | undefined;
  readonly broker: { readonly url: string | undefined; readonly pid: number | undefined };
  readonly profile: boolean;
  readonly write: boolean;
  readonly help: boolean;
}

/** @throws Error with one line for the user */
export function parseProxyFlags(argv: readonly string[]): ProxyFlags {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      connections: { type: 'string', default: '1,64,256' },
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      against: { type: 'string' },
      broker: { type: 'string' },
      'broker-pid': { type: 'string' },
      profile: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const only = values.only?.split(',').map(key => key.trim());
  const pid = values['broker-pid'];
  return {
    plan: {
      connections: values.connections.split(',').map(count => positive('connections', count)),
      seconds: positive('seconds', values.seconds ?? (values.quick ? '2' : '5')),
      rounds: positive('rounds', values.rounds ?? (values.quick ? '1' : '3')),
      warmUpSeconds: 2,
    },
    // `c` stands for `c-pass` and `c-cache` too.
    isWanted: key => only === undefined || only.some(want => key === want || key.startsWith(`${want}-`)),
    against: values.against,
    broker: { url: values.broker, pid: pid === undefined ? undefined : positive('broker-pid', pid) },
    profile: values.profile,
    write: values.write,
    help: values.help,
  };
}

function positive(flag: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${flag}: not a positive whole number: ${text}`);
  return number;
}
