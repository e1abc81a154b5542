import { request } from 'undici';
import type { LoadGenerator, Sample } from './load.ts';

/** Who spends CPU on a request. `load` is whoever asks. */
export const parts = ['proxy', 'worker', 'broker', 'backend', 'load'] as const;
export type Part = (typeof parts)[number];
export type Processes = Readonly<Partial<Record<Part, readonly number[]>>>;

/** One line of the comparison. */
export interface Subject {
  /** `a` … `f`, and `c-cache` and so on for their variants. */
  readonly key: string;
  readonly name: string;
  /** Their children are counted with them. Without `load` the load generators are: children of ours that have ended. */
  readonly processes: Processes;
  /** Throws when it does not do what it is measured for. */
  check(): Promise<void>;
  run(connections: number, seconds: number): Promise<Sample>;
}

/** A subject that a load generator asks over HTTP. @param proof a field of the response, and what must be in it */
export function httpSubject(
  { key, name, processes }: Pick<Subject, 'key' | 'name' | 'processes'>,
  url: string,
  load: LoadGenerator,
  proof?: { readonly field: string; readonly holds: string },
): Subject {
  return {
    key,
    name,
    processes,
    run: (connections, seconds) => load.run(url, connections, seconds),
    async check() {
      // Twice: the first fills a cache.
      await ask(url);
      const { status, length, headers } = await ask(url);
      const said = proof && headers[proof.field];
      if (status !== 200 || length !== 1024) throw new Error(`${name}: ${status} with ${length} bytes from ${url}`);
      if (proof && !String(said).includes(proof.holds)) throw new Error(`${name}: ${proof.field} is "${said}"`);
    },
  };
}

async function ask(url: string): Promise<{ status: number; length: number; headers: Record<string, unknown> }> {
  const { statusCode, headers, body } = await request(url);
  return { status: statusCode, length: (await body.bytes()).length, headers };
}
