import { describe, expect, test } from 'vitest';
import { sessionWindow } from '../../services/chat/core/bounds.ts';
import { ChatLog } from '../../services/chat/core/chat-log.ts';
import { ChatClient, sessionAfter } from '../../services/chat/core/client.ts';
import {
  type ClientEffect,
  type ClientEvent,
  type ClientOptions,
  clientDefaults,
  type OutboxItem,
} from '../../services/chat/core/client-events.ts';
import type { Entry, Input, Operation } from '../../services/chat/core/entry.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { alice, bob, epoch, logged, message, written } from './entries.ts';

const noProof = { said: new Uint8Array(), publicKey: new Uint8Array(), signature: new Uint8Array() };

/** Bob's client, and a log of alice's that has what the test writes there. */
class Bench {
  readonly log: ChatLog;
  readonly client: ChatClient;
  readonly effects: ClientEffect[] = [];
  readonly outbox = new Map<number, OutboxItem>();
  now = 0;

  constructor({
    log = new ChatLog({ isAuthentic: () => true }),
    outbox = [],
    options = {},
    isAuthentic = () => true,
  }: {
    log?: ChatLog;
    outbox?: readonly OutboxItem[];
    options?: Partial<ClientOptions>;
    isAuthentic?: (input: Input) => boolean;
  } = {}) {
    this.log = log;
    for (const item of outbox) this.outbox.set(item.id, item);
    const ports = { self: bob, random32: () => 5, log, isAuthentic };
    this.client = new ChatClient(ports, outbox, { ...clientDefaults, ...options });
    this.handle({ kind: 'start', now: 0 });
    this.handle({ kind: 'connected', now: 0 });
    if (log.state.epoch === 0) this.writes(epoch(1));
    this.log.state.rooms.get('lobby')?.members.add(bob);
  }

  handle(event: ClientEvent): void {
    for (const effect of this.client.handle(event)) {
      this.effects.push(effect);
      if (effect.kind === 'store') this.outbox.set(effect.item.id, effect.item);
      if (effect.kind === 'written' || effect.kind === 'refused') this.outbox.delete(effect.id);
    }
  }

  says(text: string, room = 'lobby'): void {
    this.handle({ kind: 'say', operation: message(text, room), sentAtMs: 0, now: this.now });
  }

  writes(entry: Entry, from: MemberId = alice): void {
    for (const read of this.log.read(logged(this.log.nextOffset, from, entry)))
      this.handle({ kind: 'read', read, now: this.now });
  }

  /** So many of what it has published, from the first that was not written yet. */
  writesPublished(count = Number.POSITIVE_INFINITY): void {
    for (const of of this.published().slice(0, count)) {
      const place = this.log.state.senders.get(bob);
      if (place?.session === of.session && of.counter < place.next) continue;
      this.writes(written(this.log.state.seq + 1, { ...of, proof: noProof }));
    }
  }

  published(): Omit<Input, 'proof'>[] {
    return this.effects.flatMap(effect => (effect.kind === 'publish' ? [effect.input] : []));
  }

  texts(): string[] {
    return this.published().map(({ operation }) => (operation.kind === 'message' ? operation.text : operation.kind));
  }

  of<K extends ClientEffect['kind']>(kind: K): Extract<ClientEffect, { kind: K }>[] {
    return this.effects.filter((effect): effect is Extract<ClientEffect, { kind: K }> => effect.kind === kind);
  }

  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += 50;
      this.handle({ kind: 'tick', now: this.now });
    }
  }
}

function open(setting: ConstructorParameters<typeof Bench>[0] = {}): Bench {
  const bench = new Bench(setting);
  bench.writesPublished();
  return bench;
}

describe('a client', () => {
  test('begins a session, and publishes in order what was said meanwhile', () => {
    const bench = new Bench();
    bench.says('one');
    bench.says('two');
    expect(bench.texts()).toEqual(['begin']);
    expect([...bench.outbox.values()].map(({ as }) => as)).toEqual([undefined, undefined]);
    bench.writesPublished();
    expect(bench.texts()).toEqual(['begin', 'one', 'two']);
    expect(bench.published().map(({ counter }) => counter)).toEqual([1, 2, 3]);
    bench.writesPublished();
    expect(bench.of('written')).toEqual([
      { kind: 'written', id: 1, seq: 2 },
      { kind: 'written', id: 2, seq: 3 },
    ]);
    expect(bench.client.size).toBe(0);
    expect(bench.outbox.size).toBe(0);
  });

  test('stores an item before it publishes it', () => {
    const bench = open();
    bench.says('one');
    const kinds = bench.effects.slice(-2).map(({ kind }) => kind);
    expect(kinds).toEqual(['store', 'publish']);
    expect(bench.outbox.get(1)?.as).toEqual({ session: sessionAfter(0, 5), counter: 2 });
  });

  test('has no more than a window on its way', () => {
    const bench = open({ options: { burst: 1_000 } });
    for (let i = 0; i < 100; i++) bench.says(`${i}`);
    expect(bench.published()).toHaveLength(1 + sessionWindow);
    bench.writesPublished(11);
    expect(bench.published()).toHaveLength(1 + sessionWindow + 10);
    bench.writesPublished();
    bench.writesPublished();
    expect(bench.client.size).toBe(0);
  });

  test('is no faster than servers take', () => {
    const bench = open({ options: { perSecond: 10, burst: 5 } });
    for (let i = 0; i < 20; i++) bench.says(`${i}`);
    expect(bench.published()).toHaveLength(1 + 5);
    bench.pass(1_000);
    expect(bench.published()).toHaveLength(1 + 15);
  });

  test('publishes again what was not seen: on each connection, and after a while, then after longer', () => {
    const bench = open();
    bench.says('one');
    bench.handle({ kind: 'disconnected' });
    bench.says('two');
    expect(bench.texts()).toEqual(['begin', 'one']);
    bench.handle({ kind: 'connected', now: 0 });
    expect(bench.texts()).toEqual(['begin', 'one', 'one', 'two']);
    bench.pass(clientDefaults.resendMs + 50);
    expect(bench.texts().slice(4)).toEqual(['one', 'two']);
    bench.pass(clientDefaults.resendMs + 100);
    expect(bench.texts()).toHaveLength(6);
    bench.pass(clientDefaults.resendMs);
    expect(bench.texts().slice(6)).toEqual(['one', 'two']);
    bench.writesPublished();
    bench.pass(300_000);
    expect(bench.texts()).toHaveLength(8);
  });

  test('publishes its beginning again, too', () => {
    const bench = new Bench();
    bench.pass(clientDefaults.resendMs + 50);
    expect(bench.texts()).toEqual(['begin', 'begin']);
  });

  test('tells what the server has refused, what the rule has, and what was forged', () => {
    let isAuthentic = true;
    const bench = open({ isAuthentic: () => isAuthentic });
    const session = sessionAfter(0, 5);
    for (const text of ['one', 'two', 'three']) bench.says(text, 'tea');
    bench.writes({ kind: 'refused', epoch: 1, seq: 2, reason: 'rate', sender: bob, session, counter: 2 });
    bench.writesPublished(3);
    isAuthentic = false;
    bench.writesPublished(4);
    expect(bench.of('refused')).toEqual([
      { kind: 'refused', id: 1, reason: 'rate' },
      { kind: 'refused', id: 2, reason: 'no-room' },
      { kind: 'refused', id: 3, reason: 'forged' },
    ]);
  });

  test('takes no more than its outbox holds', () => {
    const bench = open({ options: { maxItems: 2 } });
    for (const text of ['one', 'two', 'three']) bench.says(text);
    expect(bench.of('turned-away')).toEqual([{ kind: 'turned-away', reason: 'outbox-full' }]);
    expect(bench.client.size).toBe(2);
  });
});

test.each<[string, string, Operation]>([
  ['a text of 8,193 octets', 'size', message('é'.repeat(4_096).concat('x'))],
  ['a topic of 513 octets', 'size', { kind: 'topic', room: 'lobby', topic: 'x'.repeat(513) }],
  ['17 mentions', 'size', { kind: 'message', room: 'lobby', text: '', mentions: Array(17).fill(alice) }],
  ['a room called “Tea Room”', 'room-name', { kind: 'create', room: 'Tea Room', topic: '' }],
])('a client turns %s away at once', (_, reason, operation) => {
  const bench = open();
  bench.handle({ kind: 'say', operation, sentAtMs: 0, now: 0 });
  expect(bench.of('turned-away')).toEqual([{ kind: 'turned-away', reason }]);
  expect(bench.client.size).toBe(0);
  bench.handle({ kind: 'say', operation: message('é'.repeat(4_096)), sentAtMs: 0, now: 0 });
  expect(bench.client.size).toBe(1);
});

describe('a client that starts again', () => {
  test('says under its new session what was not written, and nothing else', () => {
    const before = open();
    for (const text of ['one', 'two', 'three']) before.says(text);
    // It ends when the first two are written; of the first it has seen that.
    before.writesPublished(2);
    const [second] = before.published().slice(2);
    const outbox = [...before.outbox.values()];
    const bench = new Bench({ log: before.log, outbox });
    bench.says('four');
    if (second !== undefined) bench.writes(written(bench.log.state.seq + 1, { ...second, proof: noProof }));
    expect(bench.of('written')).toMatchObject([{ id: 2 }]);
    bench.writesPublished();
    expect(bench.texts()).toEqual(['begin', 'three', 'four']);
    expect(bench.published()[0]?.session).toBeGreaterThan(second?.session ?? 0);
    bench.writesPublished();
    expect(bench.client.size).toBe(0);
  });

  test('knows from the state what was written in a part that it does not read', () => {
    const before = open();
    for (const text of ['one', 'two']) before.says(text);
    const outbox = [...before.outbox.values()];
    before.writesPublished(2);
    const bench = new Bench({ log: before.log, outbox });
    expect(bench.of('written')).toEqual([{ kind: 'written', id: 1, seq: undefined }]);
    bench.writesPublished();
    expect(bench.texts()).toEqual(['begin', 'two']);
  });

  test('begins once more when another program of the same member has', () => {
    const bench = open();
    bench.says('one');
    const other = { sender: bob, session: sessionAfter(sessionAfter(0, 5), 9), counter: 1, sentAtMs: 0 };
    bench.writes(written(2, { ...other, operation: { kind: 'begin' }, proof: noProof }));
    expect(bench.texts()).toEqual(['begin', 'one', 'begin']);
    bench.writes(written(3, { ...(bench.published()[2] as Input), proof: noProof }));
    expect(bench.texts()).toEqual(['begin', 'one', 'begin', 'one']);
    expect(bench.published()[3]?.session).toBe(sessionAfter(other.session, 5));
  });

  test('does not count its items anew from 1, nor lose them when it ends before it has begun', () => {
    const before = open();
    before.says('one');
    const bench = new Bench({ log: before.log, outbox: [...before.outbox.values()] });
    bench.says('two');
    const third = new Bench({ log: before.log, outbox: [...bench.outbox.values()] });
    third.writesPublished();
    expect(third.texts()).toEqual(['begin', 'one', 'two']);
    third.says('three');
    expect(third.client.lastId).toBe(3);
  });
});

test('sessions only rise, and stay numbers that can be told apart', () => {
  let session = 0;
  for (let i = 0; i < 100; i++) {
    const next = sessionAfter(session, 2 ** 32 - 1);
    expect(next).toBeGreaterThan(session);
    session = next;
  }
  expect(Number.isSafeInteger(sessionAfter(Number.MAX_SAFE_INTEGER - 1, 7))).toBe(true);
});
