import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';

/** Free ports of the loopback interface, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  return Promise.all(
    servers.map(server => {
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      return new Promise<number>(resolve => server.close(() => resolve(port)));
    }),
  );
}

/** Waits until the URL answers 200. @throws after `timeoutMs`, with what it last said */
export async function untilOk(url: string, timeoutMs = 15_000): Promise<void> {
  let last = 'no answer';
  for (const endsAt = performance.now() + timeoutMs; performance.now() < endsAt; ) {
    try {
      const { statusCode, body } = await request(url, { headersTimeout: 1_000 });
      const text = await body.text();
      if (statusCode === 200) return;
      last = `${statusCode} ${text.trim().slice(0, 200)}`;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    await delay(50);
  }
  throw new Error(`${url} is not ready: ${last}`);
}
