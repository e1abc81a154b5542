import { describe, expect, test } from 'vitest';
import { sessionWindow } from '../../services/chat/core/bounds.ts';
import { ChatLog } from '../../services/chat/core/chat-log.ts';
import type { Entry, Input } from '../../services/chat/core/entry.ts';
import type { HandOverStep } from '../../services/chat/core/hand-over.ts';
import { ChatServer } from '../../services/chat/core/server.ts';
import {
  type Content,
  type ServerEffect,
  type ServerEvent,
  type ServerOptions,
  serverDefaults,
} from '../../services/chat/core/server-events.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { alice, bob, carol, epoch, input, logged, message } from './entries.ts';

type Kind = ServerEffect['kind'];

/** Alice's server, and a log that has what it appends as soon as the test says so. */
class Bench {
  readonly log = new ChatLog({ isAuthentic: () => true });
  readonly effects: ServerEffect[] = [];
  readonly server: ChatServer;
  now = 0;
  #offset = 0;
  #tag = 0;
  #taken = 0;

  constructor(options: Partial<ServerOptions> = {}, isAuthentic: (input: Input) => boolean = () => true) {
    let migrations = 0;
    this.server = new ChatServer(
      { self: alice, log: this.log, isAuthentic, random: () => 0, newMigrationId: () => `m${++migrations}` },
      { ...serverDefaults, migrateEveryMs: 0, ...options },
    );
  }

  handle(event: ServerEvent): void {
    this.effects.push(...this.server.handle(event));
  }

  /** What it has appended and is not in the log yet arrives there. */
  land(): void {
    const appended = this.effects
      .slice(this.#taken)
      .flatMap(effect => (effect.kind === 'append' ? [effect.entry] : []));
    this.#taken = this.effects.length;
    for (const entry of appended) this.logs(alice, entry);
  }

  logs(from: MemberId, entry: Entry): void {
    for (const read of this.log.read(logged(this.#offset++, from, entry)))
      this.handle({ kind: 'read', read, now: this.now });
  }

  deliver(content: Content, from: MemberId = typeof content === 'string' ? bob : content.sender): number {
    const tag = ++this.#tag;
    this.handle({ kind: 'delivery', channel: this.channel, tag, from, content, now: this.now });
    return tag;
  }

  hears(from: MemberId, step: HandOverStep, of = { epoch: 1, migrationId: 'm2' }): void {
    this.handle({ kind: 'hand-over', from, message: { ...of, step }, now: this.now });
  }

  pass(ms: number, beats = false): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += 50;
      if (beats) this.handle({ kind: 'beat', from: bob, epoch: this.log.state.epoch, now: this.now });
      this.handle({ kind: 'tick', now: this.now });
    }
  }

  get channel(): number {
    return this.of('consume').at(-1)?.channel ?? 0;
  }

  of<K extends Kind>(kind: K): Extract<ServerEffect, { kind: K }>[] {
    return this.effects.filter((effect): effect is Extract<ServerEffect, { kind: K }> => effect.kind === kind);
  }

  acked(): number[] {
    return this.of('ack').map(({ tag }) => tag);
  }

  appended(): string[] {
    return this.of('append').map(({ entry }) => {
      if (entry.kind !== 'input') return entry.kind;
      return `${entry.input.sender[0]}${entry.input.counter}`;
    });
  }
}

const begin = (sender: MemberId): Input => input(sender, 1, { kind: 'begin' });
const say = (sender: MemberId, counter: number): Input => input(sender, counter, message(`${counter}`));

/** A server that consumes: the channel that it opened first is known by then. */
function active(options: Partial<ServerOptions> = {}, isAuthentic?: (input: Input) => boolean): Bench {
  const bench = new Bench({ isFounder: true, ...options }, isAuthentic);
  bench.handle({ kind: 'start', now: 0 });
  bench.land();
  expect(bench.server.mode).toBe('active');
  return bench;
}

describe('the founder', () => {
  test('consumes, begins epoch 1 and serves once it is seen to count', () => {
    const bench = new Bench({ isFounder: true, minN: 3 });
    bench.handle({ kind: 'start', now: 0 });
    expect(bench.server.mode).toBe('claiming');
    expect(bench.of('append')).toMatchObject([{ entry: { kind: 'epoch', epoch: 1, minN: 3 } }]);
    bench.land();
    expect(bench.server.mode).toBe('active');
    expect(bench.of('record')).toMatchObject([{ epoch: 1, expectedEpoch: 0, logOffset: 0 }]);
  });

  test('of a log that has an owner is a latent like any other', () => {
    const bench = new Bench({ isFounder: true });
    bench.handle({ kind: 'start', now: 0 });
    bench.logs(bob, epoch(1));
    bench.land();
    expect(bench.server.mode).toBe('void');
    expect(bench.of('close')).toHaveLength(1);
    bench.handle({ kind: 'channel-closed', channel: 1, now: 0 });
    expect(bench.server.mode).toBe('latent');
  });
});

describe('the active server', () => {
  test('appends at once, and acks what it has seen count', () => {
    const bench = active();
    const tags = [bench.deliver(begin(bob)), bench.deliver(say(bob, 2)), bench.deliver(say(bob, 3))];
    expect(bench.appended()).toEqual(['epoch', 'b1', 'b2', 'b3']);
    expect(bench.acked()).toEqual([]);
    bench.land();
    expect(bench.acked()).toEqual(tags);
  });

  test('holds a higher counter until what comes before it is there', () => {
    const bench = active();
    const third = bench.deliver(say(bob, 3));
    const second = bench.deliver(say(bob, 2));
    expect(bench.appended()).toEqual(['epoch']);
    const first = bench.deliver(begin(bob));
    expect(bench.appended()).toEqual(['epoch', 'b1', 'b2', 'b3']);
    bench.land();
    expect(bench.acked()).toEqual([first, second, third]);
  });

  test('holds one copy of it, and lets go of the others', () => {
    const bench = active();
    const [first, copy] = [bench.deliver(say(bob, 2)), bench.deliver(say(bob, 2))];
    expect(bench.acked()).toEqual([copy]);
    const begins = bench.deliver(begin(bob));
    bench.land();
    expect(bench.acked()).toEqual([copy, begins, first]);
    expect(bench.appended()).toEqual(['epoch', 'b1', 'b2']);
  });

  test('acks a lower one when it counts, with the one that is on its way, or at once', () => {
    const bench = active();
    bench.deliver(begin(bob));
    bench.deliver(begin(bob));
    expect(bench.acked()).toEqual([]);
    bench.land();
    expect(bench.acked()).toEqual([1, 2]);
    bench.deliver(begin(bob));
    expect(bench.acked()).toEqual([1, 2, 3]);
    expect(bench.appended()).toEqual(['epoch', 'b1']);
  });

  test('acks what is of a session that is over, once it is', () => {
    const bench = active();
    bench.deliver(begin(bob));
    bench.land();
    bench.deliver(input(bob, 1, { kind: 'begin' }, 8));
    const late = bench.deliver(say(bob, 2));
    expect(bench.acked()).not.toContain(late);
    bench.land();
    expect(bench.acked()).toContain(late);
    expect(bench.appended()).toEqual(['epoch', 'b1', 'b1']);
  });

  test.each<[string, Content, MemberId]>([
    ['cannot be read', 'unreadable', bob],
    ['comes from somebody else', say(bob, 2), carol],
    ['is too far ahead', say(bob, 2 + sessionWindow), bob],
    ['begins in the middle', input(carol, 1, message('x')), carol],
  ])('lets go of what %s, and says so', (_, content, from) => {
    const bench = active();
    bench.deliver(begin(bob));
    bench.land();
    const tag = bench.deliver(content, from);
    expect(bench.acked()).toContain(tag);
    expect(bench.of('say')).toHaveLength(1);
    expect(bench.appended()).toEqual(['epoch', 'b1']);
  });

  test('lets go of what is not signed', () => {
    const bench = active({}, ({ counter }) => counter !== 2);
    bench.deliver(begin(bob));
    const tag = bench.deliver(say(bob, 2));
    expect(bench.acked()).toEqual([tag]);
  });

  test('writes a refusal for what comes too fast, and hears the sender again later', () => {
    const bench = active({ perSecond: 1, burst: 3 });
    bench.deliver(begin(bob));
    for (let counter = 2; counter < 6; counter++) bench.deliver(say(bob, counter));
    expect(bench.appended()).toEqual(['epoch', 'b1', 'b2', 'b3', 'refused', 'refused']);
    bench.now += 1_000;
    bench.deliver(say(bob, 6));
    bench.deliver(begin(carol));
    bench.deliver(say(carol, 2));
    expect(bench.appended().slice(6)).toEqual(['b6', 'c1', 'c2']);
    bench.land();
    expect(bench.acked()).toHaveLength(8);
  });

  test('writes a refusal for what is too large', () => {
    const bench = active();
    bench.deliver(begin(bob));
    bench.deliver(input(bob, 2, { kind: 'oversized' }));
    bench.deliver(say(bob, 3));
    expect(bench.appended()).toEqual(['epoch', 'b1', 'refused', 'b3']);
    expect(bench.of('append')[2]).toMatchObject({ entry: { reason: 'size', sender: bob, counter: 2 } });
  });

  test('lets go of sessions that begin too fast', () => {
    const bench = active({ perSecond: 1, burst: 2 });
    for (let session = 1; session <= 3; session++) bench.deliver(input(bob, 1, { kind: 'begin' }, session));
    expect(bench.appended()).toEqual(['epoch', 'b1', 'b1']);
    expect(bench.acked()).toEqual([3]);
  });

  test('steps down when another EPOCH counts, when an entry of its own is void, and when they are not seen', () => {
    const other = active();
    other.deliver(begin(bob));
    other.logs(bob, epoch(2));
    const own = active();
    own.logs(alice, { kind: 'opens', epoch: 1, seq: 5 });
    const unseen = active();
    unseen.deliver(begin(bob));
    unseen.pass(3 * serverDefaults.leaseMs);
    for (const bench of [other, own, unseen]) {
      expect(bench.server.mode).toBe('void');
      expect(bench.of('close')).toHaveLength(1);
      expect(bench.acked()).toEqual([]);
    }
    expect(other.of('purge')).toEqual([{ kind: 'purge', count: 1 }]);
    own.logs(alice, { kind: 'opens', epoch: 1, seq: 1 });
    expect(own.server.mode).toBe('void');
  });

  test('does not mind what was appended twice', () => {
    const bench = active();
    bench.deliver(begin(bob));
    const again = bench.of('append').at(-1)?.entry as Entry;
    bench.land();
    bench.logs(alice, again);
    bench.logs(alice, epoch(1));
    expect(bench.server.mode).toBe('active');
  });

  test('that has lost its channel consumes again, unless somebody else has begun', () => {
    const bench = active();
    bench.handle({ kind: 'channel-closed', channel: 1, now: 0 });
    expect(bench.server.mode).toBe('latent');
    bench.pass(100);
    expect(bench.server.mode).toBe('latent');
    bench.pass(200);
    expect(bench.server.mode).toBe('standby');
    expect(bench.of('nudge')).toHaveLength(1);
    bench.deliver('nudge');
    bench.land();
    expect(bench.server.mode).toBe('active');
    expect(bench.log.state.epoch).toBe(2);

    bench.handle({ kind: 'channel-closed', channel: 2, now: bench.now });
    bench.logs(bob, epoch(3));
    bench.pass(1_000);
    expect(bench.server.mode).toBe('latent');
  });

  test('all of whose deliveries wait for what cannot come closes its channel, and after three times lets them go', () => {
    const bench = active({ prefetch: 3 });
    for (let times = 1; times <= 4; times++) {
      for (let counter = 3; counter < 6; counter++) bench.deliver(say(bob, counter));
      if (times === 4) break;
      expect(bench.server.mode).toBe('void');
      bench.handle({ kind: 'channel-closed', channel: bench.channel, now: bench.now });
      bench.pass(50);
      expect(bench.server.mode).toBe('standby');
      bench.deliver('nudge');
      bench.land();
      expect(bench.server.mode).toBe('active');
    }
    expect(bench.acked()).toHaveLength(3 + 3);
    expect(bench.of('say').at(-1)?.line).toMatch('let go');
  });

  test('writes a checkpoint when it is due, behind all that is on its way', () => {
    const bench = active({ checkpoint: { entries: 4, size: 1e9, ageMs: 1e9 } });
    for (const sender of [bob, carol])
      for (let counter = 1; counter <= 3; counter++)
        bench.deliver(counter === 1 ? begin(sender) : say(sender, counter));
    expect(bench.appended()).toEqual(['epoch', 'b1', 'b2', 'b3']);
    bench.land();
    expect(bench.appended()).toEqual(['epoch', 'b1', 'b2', 'b3', 'checkpoint', 'c1', 'c2', 'c3']);
    const checkpoint = bench.of('append')[4]?.entry;
    expect(checkpoint).toMatchObject({ seq: 4, snapshot: { offset: 3, seq: 3, epoch: 1 } });
    bench.land();
    expect(bench.server.mode).toBe('active');
  });

  test('has no more on its way behind a checkpoint than may come before the next one', () => {
    const bench = active({ checkpoint: { entries: 3, size: 1e9, ageMs: 1e9 } });
    bench.deliver(begin(bob));
    bench.deliver(say(bob, 2));
    for (let counter = 3; counter <= 9; counter++) bench.deliver(say(bob, counter));
    bench.land();
    expect(bench.appended().slice(1)).toEqual(['b1', 'b2', 'checkpoint', 'b3', 'b4']);
    for (let more = 0; more < 8; more++) bench.land();
    expect(bench.appended().slice(6)).toEqual(['b5', 'checkpoint', 'b6', 'b7', 'b8', 'checkpoint', 'b9']);
  });

  test.each([
    ['octets', { entries: 1e9, size: 250, ageMs: 1e9 }],
    ['time', { entries: 1e9, size: 1e9, ageMs: 1_000 }],
  ])('counts %s for it, too', (_, checkpoint) => {
    const bench = active({ checkpoint });
    bench.deliver(begin(bob));
    bench.deliver(say(bob, 2));
    bench.land();
    bench.pass(1_000);
    bench.land();
    expect(bench.appended()).toEqual(['epoch', 'b1', 'b2', 'checkpoint']);
    bench.pass(5_000);
    // Nothing has come since.
    expect(bench.appended()).toHaveLength(4);
  });

  test('opens the chat when enough are there', () => {
    const bench = active({ minN: 2 });
    bench.handle({ kind: 'present', count: 1, now: 0 });
    expect(bench.appended()).toEqual(['epoch']);
    for (let i = 0; i < 2; i++) bench.handle({ kind: 'present', count: 2, now: 0 });
    bench.land();
    bench.handle({ kind: 'present', count: 1, now: 0 });
    expect(bench.appended()).toEqual(['epoch', 'opens']);
    expect(bench.log.state.isOpen).toBe(true);
  });

  test('says it is there, and tells naming until it is heard', () => {
    const bench = active();
    bench.pass(serverDefaults.leaseMs);
    expect(bench.of('beat')).toHaveLength(4);
    expect(bench.of('record')).toHaveLength(4);
    bench.handle({ kind: 'recorded', epoch: 1 });
    bench.pass(serverDefaults.leaseMs);
    expect(bench.of('record')).toHaveLength(4);
  });
});

describe('a migration', () => {
  const options = { migrateEveryMs: 1_000 };
  function standing(): Bench {
    const bench = active(options);
    expect(bench.of('pick')).toEqual([]);
    bench.pass(50);
    expect(bench.of('pick')).toEqual([{ kind: 'pick', except: [alice] }]);
    bench.handle({ kind: 'picked', latent: bob, now: bench.now });
    bench.hears(bob, { kind: 'standing' });
    return bench;
  }
  const steps = (bench: Bench): string[] => bench.of('hand-over').map(({ message: { step } }) => step.kind);

  test('is offered in time, and done when the other one is ready', () => {
    const bench = standing();
    bench.deliver(begin(carol));
    bench.pass(1_000);
    expect(steps(bench)).toEqual(['stand-by', 'offer']);
    expect(bench.server.mode).toBe('active');
    bench.hears(bob, { kind: 'ready' });
    expect(bench.server.mode).toBe('freezing');
    expect(bench.of('close')).toHaveLength(1);
    // What was on its way to it goes back.
    bench.deliver(begin(bob));
    expect(bench.of('hand-over').at(-1)).toMatchObject({ to: bob, message: { step: { kind: 'frozen', lastSeq: 1 } } });
    bench.handle({ kind: 'channel-closed', channel: 1, now: bench.now });
    bench.land();
    expect(bench.acked()).toEqual([]);
    bench.logs(bob, epoch(2));
    expect(bench.of('purge')).toEqual([{ kind: 'purge', count: 1 }]);
    expect(bench.server.mode).toBe('latent');
    bench.pass(serverDefaults.leaseMs - 100);
    expect(bench.server.mode).toBe('latent');
  });

  test('that nobody finishes ends with standing by again', () => {
    const bench = standing();
    bench.pass(1_000);
    bench.hears(bob, { kind: 'ready' });
    bench.handle({ kind: 'channel-closed', channel: 1, now: bench.now });
    bench.pass(serverDefaults.leaseMs + 50);
    expect(bench.server.mode).toBe('standby');
    expect(bench.of('nudge')).toHaveLength(1);
  });

  test('does not happen without a latent, and it says so', () => {
    const bench = active(options);
    bench.pass(50);
    bench.handle({ kind: 'picked', latent: undefined, why: 'nobody has caught up', now: bench.now });
    bench.pass(1_000);
    expect(bench.of('say')).toEqual([{ kind: 'say', line: 'no migration: nobody has caught up' }]);
    expect(bench.server.mode).toBe('active');
  });

  test('does not happen while naming is away', () => {
    const bench = active(options);
    bench.pass(5_000);
    expect(bench.of('say').at(-1)).toEqual({ kind: 'say', line: 'no migration: naming does not answer' });
    expect(bench.of('pick').length).toBeGreaterThan(1);
    expect(bench.server.mode).toBe('active');
  });

  test('goes to another one when the first declines, or falls silent', () => {
    const bench = standing();
    bench.hears(bob, { kind: 'declined', reason: 'it is void' });
    bench.pass(50);
    expect(bench.of('pick').at(-1)).toEqual({ kind: 'pick', except: [alice, bob] });
    bench.handle({ kind: 'picked', latent: carol, now: bench.now });
    bench.pass(serverDefaults.leaseMs + 100);
    expect(bench.of('pick').at(-1)).toEqual({ kind: 'pick', except: [alice, carol] });
  });

  test('takes no word from anybody else, nor of another migration', () => {
    const bench = standing();
    bench.hears(bob, { kind: 'ready' });
    bench.pass(1_000);
    bench.hears(carol, { kind: 'ready' });
    bench.hears(bob, { kind: 'ready' }, { epoch: 1, migrationId: 'm9' });
    bench.hears(bob, { kind: 'ready' }, { epoch: 2, migrationId: 'm2' });
    expect(bench.server.mode).toBe('active');
  });
});

describe('a latent', () => {
  /** Bob serves epoch 1. */
  function latent(): Bench {
    const bench = new Bench();
    bench.handle({ kind: 'start', now: 0 });
    bench.logs(bob, epoch(1));
    return bench;
  }
  const invitation = { epoch: 1, migrationId: 'm1' };

  test('stands by when it is asked to, is ready when it has read so far, and claims when the other one has frozen', () => {
    const bench = latent();
    bench.hears(carol, { kind: 'stand-by' }, invitation);
    expect(bench.server.mode).toBe('latent');
    bench.hears(bob, { kind: 'stand-by' }, invitation);
    expect(bench.server.mode).toBe('standby');
    bench.hears(bob, { kind: 'offer', snapshot: { ...bench.log.snapshot(), offset: 1 } }, invitation);
    expect(bench.of('hand-over').map(({ message: { step } }) => step.kind)).toEqual(['standing']);
    bench.logs(bob, { kind: 'opens', epoch: 1, seq: 1 });
    expect(bench.of('hand-over').map(({ message: { step } }) => step.kind)).toEqual(['standing', 'ready']);
    bench.hears(bob, { kind: 'frozen', lastSeq: 2 }, invitation);
    expect(bench.server.mode).toBe('standby');
    bench.logs(bob, { kind: 'opens', epoch: 1, seq: 2 });
    expect(bench.of('append')).toMatchObject([{ entry: { kind: 'epoch', epoch: 2, migrationId: 'm1' } }]);
    bench.land();
    expect(bench.server.mode).toBe('active');
  });

  test('declines what it is asked from an epoch that it has not read of', () => {
    const bench = latent();
    bench.hears(carol, { kind: 'stand-by' }, { epoch: 9, migrationId: 'm1' });
    expect(bench.of('hand-over')).toMatchObject([{ to: carol, message: { step: { kind: 'declined' } } }]);
    expect(bench.server.mode).toBe('latent');
  });

  test('does not wait for long for what the frozen one has appended last', () => {
    const bench = latent();
    bench.hears(bob, { kind: 'stand-by' }, invitation);
    bench.hears(bob, { kind: 'frozen', lastSeq: 2 }, invitation);
    bench.pass(400, true);
    expect(bench.server.mode).toBe('claiming');
  });

  test('claims when something is delivered, keeps it, and serves it when it has won', () => {
    const bench = latent();
    bench.hears(bob, { kind: 'stand-by' }, invitation);
    bench.deliver(begin(carol));
    bench.deliver(say(carol, 2));
    expect(bench.appended()).toEqual(['epoch']);
    bench.land();
    expect(bench.appended()).toEqual(['epoch', 'c1', 'c2']);
  });

  test('that is second in claiming closes its channel, and keeps nothing', () => {
    const bench = latent();
    bench.hears(bob, { kind: 'stand-by' }, invitation);
    bench.deliver(begin(carol));
    bench.logs(carol, epoch(2));
    expect(bench.server.mode).toBe('void');
    bench.land();
    expect(bench.acked()).toEqual([]);
    expect(bench.appended()).toEqual(['epoch']);
  });

  test('stands up when nothing is seen of the active one for a lease, and not while beats come', () => {
    const bench = latent();
    bench.pass(2 * serverDefaults.leaseMs, true);
    expect(bench.server.mode).toBe('latent');
    bench.pass(serverDefaults.leaseMs / 2);
    bench.handle({ kind: 'beat', from: carol, epoch: 1, now: bench.now });
    bench.handle({ kind: 'beat', from: bob, epoch: 9, now: bench.now });
    bench.pass(serverDefaults.leaseMs / 2 + 50);
    expect(bench.server.mode).toBe('standby');
    expect(bench.of('nudge')).toHaveLength(1);
    // And leaves again when it was mistaken.
    bench.pass(serverDefaults.leaseMs + 100, true);
    expect(bench.server.mode).toBe('void');
  });

  test('has somebody look once a lease, for as long as it is silent', () => {
    const bench = latent();
    bench.pass(4 * serverDefaults.leaseMs);
    expect(bench.server.mode).toBe('standby');
    expect(bench.of('nudge')).toHaveLength(3);
  });

  test('whose EPOCH is not seen for two leases gives its deliveries back', () => {
    const bench = latent();
    bench.hears(bob, { kind: 'stand-by' }, invitation);
    bench.deliver('nudge');
    bench.pass(2 * serverDefaults.leaseMs, true);
    expect(bench.server.mode).toBe('claiming');
    bench.pass(100, true);
    expect(bench.server.mode).toBe('void');
    expect(bench.of('close')).toHaveLength(1);
  });

  test('of a chat that nobody has founded waits', () => {
    const bench = new Bench();
    bench.handle({ kind: 'start', now: 0 });
    bench.pass(10 * serverDefaults.leaseMs);
    expect(bench.server.mode).toBe('latent');
    expect(bench.effects).toEqual([]);
  });
});
