import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JobTable, type JobTerms, type PartTerms, type WorkerTerms } from '../../services/proxy/job-table.ts';

const limits = { queueTimeoutMs: 5_000, leaseMs: 3_000, brokerGraceMs: 1_000 };
const whole: PartTerms = { worker: 'worker-1', attempt: 'attempt-1', index: 0, last: true };

/** A table whose clock stands where the test says, with a job of service `web` in it, and as a rule one worker. */
class Scene {
  readonly table = new JobTable(limits);
  now = 1_000_000;

  submit(terms: Partial<JobTerms> = {}, id = 'job'): this {
    this.table.submit(id, { service: 'web', claim: false, deadlineMs: 30_000, ...terms }, this.now);
    return this;
  }

  /** A worker says that it lives, every second until `ms` have passed. */
  seen(terms: Partial<WorkerTerms> = {}, ms = 0): this {
    const end = this.now + ms;
    for (;;) {
      const worker = { worker: 'worker-1', service: 'web', leaving: false, leaseMs: limits.leaseMs, ...terms };
      this.table.workerSeen(worker, this.now);
      if (this.now + 1_000 > end) break;
      this.now += 1_000;
    }
    this.now = end;
    return this;
  }

  claim(worker = 'worker-1', attempt = 'attempt-1') {
    return this.table.claim('job', { worker, attempt }, this.now);
  }

  /** Whether it belongs to the response. */
  part(terms: Partial<PartTerms> = {}): boolean {
    return this.verdict(terms) === 'next';
  }

  verdict(terms: Partial<PartTerms> = {}) {
    return this.table.part('job', { ...whole, ...terms }, this.now);
  }

  /** What `tick` ends, after waiting. */
  after(ms: number) {
    this.now += ms;
    return this.table.tick(this.now).ended;
  }
}

describe('a job that waits', () => {
  test('is answered by the whole response of whichever attempt comes', () => {
    const scene = new Scene().submit().seen();
    expect(scene.part({ attempt: 'of a worker that did not ask' })).toBe(true);
    expect(scene.table.size).toBe(0);
    expect(scene.after(60_000)).toEqual([]);
  });

  test('ends with 504 at its deadline, not before, though workers live', () => {
    const scene = new Scene().submit().seen({}, 29_000);
    expect(scene.after(999)).toEqual([]);
    expect(scene.after(1)).toEqual([{ id: 'job', status: 504, reason: 'no answer within the deadline' }]);
    expect(scene.after(0)).toEqual([]);
  });

  test('ends with 503 when its service had no worker for the queue timeout', () => {
    const scene = new Scene().submit();
    expect(scene.after(4_999)).toEqual([]);
    expect(scene.after(1)).toEqual([{ id: 'job', status: 503, reason: 'no worker for service web' }]);
  });

  test('ends with 504 rather than 503 when its deadline is the shorter', () => {
    expect(new Scene().submit({ deadlineMs: 100 }).after(100)).toMatchObject([{ status: 504 }]);
  });

  test('goes on waiting when a worker comes in time', () => {
    const scene = new Scene().submit();
    scene.now += 4_999;
    scene.seen({}, 10_000);
    expect(scene.after(0)).toEqual([]);
  });

  test('is not helped by a worker of another service', () => {
    const scene = new Scene().submit().seen({ service: 'other' }, 5_000);
    expect(scene.after(0)).toMatchObject([{ status: 503 }]);
  });

  test('has the queue timeout again from when the last worker died', () => {
    const scene = new Scene().submit().seen({}, 4_000); // last heard at 4 s
    expect(scene.after(2_999)).toEqual([]);
    expect(scene.table.liveWorkers('web')).toBe(1);
    expect(scene.table.tick(scene.now + 1).gone).toEqual(['worker-1']);
    expect(scene.table.liveWorkers('web')).toBe(0);
    expect(scene.after(5_000)).toEqual([]);
    expect(scene.after(1)).toMatchObject([{ status: 503 }]);
  });

  test('has the queue timeout again from when the last worker left', () => {
    const scene = new Scene().submit().seen({}, 10_000).seen({ leaving: true });
    expect(scene.table.liveWorkers('web')).toBe(0);
    expect(scene.after(4_999)).toEqual([]);
    expect(scene.after(1)).toMatchObject([{ status: 503 }]);
  });

  test('waits on while one of two workers stays', () => {
    const scene = new Scene().submit().seen().seen({ worker: 'worker-2' }).seen({ leaving: true });
    expect(scene.table.liveWorkers('web')).toBe(1);
    scene.seen({ worker: 'worker-2' }, 20_000);
    expect(scene.after(0)).toEqual([]);
  });

  test('of which the client has gone is nobody’s any more', () => {
    const scene = new Scene().submit().seen();
    expect(scene.table.abandon('job')).toBe(true);
    expect(scene.table.abandon('job')).toBe(false);
    expect(scene.part()).toBe(false);
    expect(scene.claim()).toEqual({ granted: false, leftMs: 0 });
    expect(scene.after(60_000)).toEqual([]);
  });

  test('is not ended by the death of a worker that had it, if it is repeatable: another may do it', () => {
    const scene = new Scene().submit().seen();
    scene.claim('worker-1');
    scene.seen({ worker: 'worker-2' }, 10_000);
    expect(scene.table.tick(scene.now)).toEqual({ ended: [], gone: ['worker-1'] });
    expect(scene.claim('worker-2', 'attempt-2').granted).toBe(true);
    expect(scene.part({ attempt: 'attempt-2' })).toBe(true);
  });

  test('is granted, if it is repeatable, to whoever asks: its worker may have died', () => {
    const scene = new Scene().submit().seen().seen({ worker: 'worker-2' });
    expect(scene.claim('worker-1', 'a')).toMatchObject({ granted: true });
    expect(scene.claim('worker-2', 'b')).toMatchObject({ granted: true });
    expect(scene.part({ attempt: 'a' })).toBe(true);
  });
});

describe('a claimed job', () => {
  const claimed = (): Scene => new Scene().submit({ claim: true }).seen();

  test('is granted with the milliseconds that are left', () => {
    const scene = claimed();
    scene.now += 1_250;
    expect(scene.claim()).toEqual({ granted: true, leftMs: 28_750 });
  });

  test('waits like any other while nobody has asked for it', () => {
    const scene = claimed().seen({}, 20_000);
    expect(scene.after(0)).toEqual([]);
  });

  test('is granted to one worker, and to no other', () => {
    const scene = claimed();
    expect(scene.claim('worker-1').granted).toBe(true);
    expect(scene.claim('worker-2')).toEqual({ granted: false, leftMs: 0 });
  });

  test('is granted again to the process that has it: our answer may have got lost', () => {
    const scene = claimed();
    scene.claim('worker-1', 'lost');
    expect(scene.claim('worker-1', 'again').granted).toBe(true);
    // It begins the job once, on whichever of the two.
    expect(scene.part({ attempt: 'lost' })).toBe(true);
  });

  test('is not granted to another even after its holder died: it may have been done', () => {
    const scene = claimed();
    scene.claim('worker-1');
    scene.now += limits.leaseMs;
    expect(scene.claim('worker-2').granted).toBe(false);
  });

  test('is not granted at or after its deadline, before or after anybody has noticed', () => {
    const scene = claimed();
    scene.now += 30_000;
    expect(scene.claim().granted).toBe(false);
    scene.after(0);
    expect(scene.claim().granted).toBe(false);
  });

  test('takes no part without a grant', () => {
    expect(claimed().part()).toBe(false);
  });

  test('takes the parts of its grant alone', () => {
    const scene = claimed();
    scene.claim('worker-1', 'attempt-1');
    expect(scene.part({ worker: 'worker-2', attempt: 'attempt-2' })).toBe(false);
    expect(scene.part()).toBe(true);
  });

  test('is refused to everybody once it was answered, also to who did it', () => {
    const scene = claimed();
    scene.claim();
    scene.part();
    expect(scene.claim('worker-1').granted).toBe(false);
    expect(scene.part()).toBe(false);
    expect(scene.table.size).toBe(0);
  });

  test('ends with 502 when the lease of who has it ends: it may have been done', () => {
    const scene = claimed();
    scene.claim();
    expect(scene.after(limits.leaseMs - 1)).toEqual([]);
    const [ended] = scene.after(1);
    expect(ended).toEqual({ id: 'job', status: 502, reason: 'the worker died at it: it may have been done' });
    expect(scene.part()).toBe(false);
    expect(scene.claim().granted).toBe(false);
  });

  test('goes on while who has it says that it lives, or that it drains', () => {
    const scene = claimed();
    scene.claim();
    scene.seen({}, 10_000).seen({ leaving: true }, 10_000);
    expect(scene.after(0)).toEqual([]);
    expect(scene.part()).toBe(true);
  });

  test('counts its own claim as a sign of life of a worker that was not heard before', () => {
    const scene = new Scene().submit({ claim: true });
    scene.now += 4_000;
    expect(scene.claim('unheard').granted).toBe(true);
    expect(scene.after(2_999)).toEqual([]);
    expect(scene.after(1)).toMatchObject([{ status: 502 }]);
  });

  test('ends with 504 at its deadline though its worker lives', () => {
    const scene = claimed();
    scene.claim();
    scene.seen({}, 30_000);
    expect(scene.after(0)).toMatchObject([{ status: 504 }]);
  });
});

describe('a job that is being answered', () => {
  const answering = (claim: boolean): Scene => {
    const scene = new Scene().submit({ claim }).seen();
    scene.claim();
    expect(scene.part({ index: 0, last: false })).toBe(true);
    return scene;
  };

  test.each([false, true])('takes the parts of that attempt in order, and of no other (claimed: %j)', claim => {
    const scene = answering(claim);
    expect(scene.verdict({ index: 0, last: false }), 'a repeat').toBe('other');
    expect(scene.verdict({ index: 2 })).toBe('gap');
    expect(scene.part({ attempt: 'other', index: 1 }), 'another attempt').toBe(false);
    expect(scene.part({ attempt: 'other', index: 0 }), 'another attempt from the start').toBe(false);
    expect(scene.part({ index: 1, last: false })).toBe(true);
    expect(scene.part({ index: 2 })).toBe(true);
    expect(scene.table.size).toBe(0);
  });

  test.each([false, true])('is granted to nobody any more (claimed: %j)', claim => {
    const scene = answering(claim);
    expect(scene.claim('worker-1', 'again').granted).toBe(false);
    expect(scene.claim('worker-2', 'b').granted).toBe(false);
  });

  test.each([false, true])('ends with 502 when its worker’s lease ends in the middle (claimed: %j)', claim => {
    const scene = answering(claim);
    expect(scene.after(limits.leaseMs)).toMatchObject([{ status: 502 }]);
  });
});

describe('without a broker', () => {
  test('jobs wait for it as long as its grace, then end with 503', () => {
    const scene = new Scene().seen().submit();
    expect(scene.table.brokerLost(scene.now)).toEqual([]);
    expect(scene.after(999)).toEqual([]);
    expect(scene.table.canWaitForBroker(scene.now)).toBe(true);
    expect(scene.after(1)).toEqual([{ id: 'job', status: 503, reason: 'no broker' }]);
    expect(scene.table.canWaitForBroker(scene.now)).toBe(false);
  });

  test('a claimed job that nobody has waits as well', () => {
    const scene = new Scene().seen().submit({ claim: true });
    expect(scene.table.brokerLost(scene.now)).toEqual([]);
    expect(scene.table.brokerBack(scene.now)).toHaveLength(1);
  });

  test('what was granted ends with 502 at once: its answer cannot reach us', () => {
    const scene = new Scene().seen().submit({ claim: true });
    scene.claim();
    const ended = scene.table.brokerLost(scene.now);
    expect(ended).toMatchObject([{ id: 'job', status: 502 }]);
    expect(scene.table.brokerBack(scene.now)).toEqual([]);
    expect(scene.claim().granted).toBe(false);
  });

  test('what was being answered ends with 502 at once', () => {
    const scene = new Scene().seen().submit();
    scene.part({ last: false });
    expect(scene.table.brokerLost(scene.now)).toMatchObject([{ status: 502 }]);
  });

  test('a repeatable job that somebody has waits: it may be done again', () => {
    const scene = new Scene().seen().submit();
    scene.claim();
    expect(scene.table.brokerLost(scene.now)).toEqual([]);
    expect(scene.table.brokerBack(scene.now)).toHaveLength(1);
  });

  test('it is told once since when there is none', () => {
    const scene = new Scene().seen();
    scene.table.brokerLost(scene.now);
    scene.now += 900;
    scene.table.brokerLost(scene.now);
    scene.now += 100;
    expect(scene.table.canWaitForBroker(scene.now)).toBe(false);
  });

  test('a deadline is a deadline', () => {
    const scene = new Scene().seen().submit({ deadlineMs: 500 });
    scene.table.brokerLost(scene.now);
    expect(scene.after(500)).toMatchObject([{ status: 504 }]);
  });

  test('and back again, jobs go out in order with the time they have left, and the grace is whole again', () => {
    const scene = new Scene().seen().submit({}, 'a');
    scene.now += 100;
    scene.submit({ deadlineMs: 400 }, 'b');
    scene.table.brokerLost(scene.now);
    scene.now += 400;
    expect(scene.table.brokerBack(scene.now)).toEqual([
      { id: 'a', leftMs: 29_500 },
      { id: 'b', leftMs: 1 },
    ]);
    expect(scene.table.canWaitForBroker(scene.now)).toBe(true);
    scene.now += 10_000;
    scene.table.brokerLost(scene.now);
    expect(scene.table.canWaitForBroker(scene.now + 999)).toBe(true);
  });

  test('from the start there is hope as long as its grace', () => {
    const table = new JobTable(limits);
    table.brokerLost(0);
    expect(table.canWaitForBroker(999)).toBe(true);
    expect(table.canWaitForBroker(1_000)).toBe(false);
  });
});

describe('workers', () => {
  test('are new when first heard, and again after their lease', () => {
    const scene = new Scene();
    const worker = { worker: 'worker-1', service: 'web', leaving: false, leaseMs: 3_000 };
    expect(scene.table.workerSeen(worker, scene.now)).toBe(true);
    expect(scene.table.workerSeen(worker, scene.now + 2_999)).toBe(false);
    expect(scene.table.workerSeen(worker, scene.now + 6_000)).toBe(true);
  });

  test('are counted by service, once each, while they take jobs', () => {
    const scene = new Scene().seen().seen().seen({ worker: 'worker-2' }).seen({ worker: 'x', service: 'other' });
    expect(scene.table.liveWorkers('web')).toBe(2);
    expect(scene.table.liveWorkers('other')).toBe(1);
    expect(scene.table.liveWorkers('none')).toBe(0);
    scene.seen({ leaving: true });
    expect(scene.table.liveWorkers('web')).toBe(1);
  });

  test('that are new by their first claim are so still when they first say their name', () => {
    const scene = new Scene().submit({ claim: true });
    scene.claim('worker-1');
    const worker = { worker: 'worker-1', service: 'web', leaving: false, leaseMs: 3_000 };
    expect(scene.table.workerSeen(worker, scene.now)).toBe(true);
  });
});

test('every job ends once, and afterwards is granted to nobody and takes no part, whatever happens', () => {
  const worker = fc.constantFrom('w1', 'w2');
  const id = fc.constantFrom('j1', 'j2', 'j3');
  const step = fc.oneof(
    fc.record({
      act: fc.constant('submit' as const),
      id,
      claim: fc.boolean(),
      deadlineMs: fc.integer({ min: 1, max: 9_000 }),
    }),
    fc.record({ act: fc.constant('claim' as const), id, worker, attempt: fc.constantFrom('a', 'b') }),
    fc.record({
      act: fc.constant('part' as const),
      id,
      attempt: fc.constantFrom('a', 'b'),
      index: fc.nat(1),
      last: fc.boolean(),
    }),
    fc.record({ act: fc.constant('seen' as const), worker, leaving: fc.boolean() }),
    fc.record({ act: fc.constantFrom('lost' as const, 'back' as const) }),
    fc.record({ act: fc.constant('abandon' as const), id }),
    fc.record({ act: fc.constant('wait' as const), ms: fc.nat(3_000) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const table = new JobTable(limits);
      let now = 0;
      const open = new Map<string, { claim: boolean; holders: Set<string>; deadlineAt: number }>();
      const close = (which: string): void => {
        expect(open.delete(which), `${which} ended twice`).toBe(true);
      };
      const used = new Set<string>();
      for (const each of steps) {
        if (each.act === 'submit') {
          if (used.has(each.id)) continue; // ids are never used twice
          used.add(each.id);
          open.set(each.id, { claim: each.claim, holders: new Set(), deadlineAt: now + each.deadlineMs });
          table.submit(each.id, { service: 'web', claim: each.claim, deadlineMs: each.deadlineMs }, now);
        } else if (each.act === 'claim') {
          const { granted, leftMs } = table.claim(each.id, each, now);
          const job = open.get(each.id);
          if (!granted) continue;
          expect(job && now < job.deadlineAt).toBe(true);
          expect(now + leftMs).toBe(job?.deadlineAt);
          job?.holders.add(each.worker);
          if (job?.claim) expect(job.holders.size).toBe(1);
        } else if (each.act === 'part') {
          const taken = table.part(each.id, { ...each, worker: 'x' }, now);
          if (taken !== 'other') expect(open.has(each.id)).toBe(true);
          if (taken === 'next' && each.last) close(each.id);
        } else if (each.act === 'seen') {
          table.workerSeen({ worker: each.worker, service: 'web', leaving: each.leaving, leaseMs: 3_000 }, now);
        } else if (each.act === 'lost') for (const ended of table.brokerLost(now)) close(ended.id);
        else if (each.act === 'back') {
          expect(table.brokerBack(now).map(job => job.id)).toEqual([...open.keys()]);
        } else if (each.act === 'abandon') {
          if (table.abandon(each.id)) close(each.id);
        } else if (each.act === 'wait') {
          now += each.ms;
          for (const ended of table.tick(now).ended) close(ended.id);
        }
        expect(table.size).toBe(open.size);
      }
      // Left alone, everything ends.
      for (const ended of table.tick(now + 10_000).ended) close(ended.id);
      expect(table.size).toBe(0);
    }),
  );
});
