import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { createBus } from '../../services/bus/amqp-bus.ts';
import type { Bus } from '../../services/bus/bus.ts';
import { roles } from '../../services/bus/topology.ts';
import { type Demo, startDemo } from '../../services/demo/demo.ts';
import type { Message } from '../../services/demo/message-list.ts';
import { brokerUrl } from '../support/broker.ts';
import { createCuttableLink } from './cuttable-link.ts';

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(name: string, url = brokerUrl()): Promise<{ demo: Demo; bus: Bus }> {
  const bus = createBus({ urls: [url], name, role: roles.demo() });
  closers.push(() => bus.close());
  await bus.ready(AbortSignal.timeout(10_000));
  const demo = await startDemo({ bus, now: Date.now }, { name, host: '127.0.0.1', port: 0 });
  closers.push(() => demo.close());
  return { demo, bus };
}

async function post(demo: Demo, text: string): Promise<Message> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ author: 'Ada', text });
  const response = await fetch(`${demo.url}/api/messages`, { method: 'POST', headers, body });
  expect(response.status).toBe(201);
  return (await response.json()) as Message;
}

/** The stream outlives tests: each looks only at messages that carry its own mark. */
async function marked(demo: Demo, mark: string): Promise<Message[]> {
  const response = await fetch(`${demo.url}/api/messages`);
  return ((await response.json()) as Message[]).filter(({ text }) => text.startsWith(mark));
}

test('a message posted on one replica is seen on the two others', async () => {
  const mark = randomUUID();
  const replicas = await Promise.all(['backend-1', 'backend-2', 'backend-3'].map(name => start(name)));
  const posted: Message[] = [];
  for (const { demo } of replicas) posted.unshift(await post(demo, `${mark} through ${demo.name}`));
  for (const { demo } of replicas) await expect.poll(() => marked(demo, mark)).toEqual(posted);
});

test('a replica started later has the history', async () => {
  const mark = randomUUID();
  const { demo: first } = await start('backend-1');
  const posted = await post(first, mark);
  await first.close();
  const { demo: later } = await start('backend-2');
  await expect.poll(() => marked(later, mark)).toEqual([posted]);
});

test('a replica that lost its connection serves what it has, and catches up without repeats', async () => {
  const mark = randomUUID();
  const link = await createCuttableLink(brokerUrl());
  closers.push(() => link.close());
  const { demo: whole } = await start('backend-1');
  const { demo: cutOff, bus } = await start('backend-2', link.url);
  const before = await post(cutOff, `${mark} before`);
  await expect.poll(() => marked(cutOff, mark)).toEqual([before]);

  link.cut();
  await expect.poll(() => bus.state).toBe('connecting');
  const meanwhile = await post(whole, `${mark} meanwhile`);
  expect(await marked(cutOff, mark)).toEqual([before]);

  // Posted before the connection is back: taken as soon as it is.
  const waiting = post(cutOff, `${mark} waiting`);
  link.mend();
  const after = await waiting;
  await expect.poll(() => marked(cutOff, mark), { timeout: 5000 }).toEqual([after, meanwhile, before]);
  await expect.poll(() => marked(whole, mark)).toEqual([after, meanwhile, before]);
});
