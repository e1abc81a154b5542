import { z } from 'zod';
import type { Config } from '../../config/config.ts';
import { dialable } from '../../lib/dialable.ts';
import { messageOf } from '../../lib/failure.ts';
import { askJson, placeOf, type Unreached } from './ask.ts';

const shape = z.object({
  broker: z.object({ state: z.string(), reason: z.string().optional() }),
  services: z.array(z.object({ service: z.string(), liveWorkers: z.number() })),
  pendingJobs: z.number(),
  cache: z.object({ entries: z.number(), bytes: z.number() }),
  requests: z.object({ total: z.number(), hits: z.number(), errors: z.number() }),
});

export type ProxyStatus = z.infer<typeof shape> & { readonly at: string };

/** What the proxy's admin server says of itself. */
export async function proxyStatus({ proxy: { adminHost, adminPort } }: Config): Promise<ProxyStatus | Unreached> {
  const url = `http://${dialable(adminHost)}:${adminPort}`;
  try {
    return { ...shape.parse(await askJson(`${url}/api/status`)), at: placeOf(url) };
  } catch (error) {
    const why = error instanceof z.ZodError ? 'what answers is no proxy of Warren' : messageOf(error);
    return { problem: `the proxy's admin server at ${placeOf(url)} cannot be reached: ${why}` };
  }
}
