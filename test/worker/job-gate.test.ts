import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DeliveryTerms, JobGate, type ProxyTerms } from '../../services/worker/job-gate.ts';

const leaseMs = 3_000;

/** One repeatable job, numbered within our hearing, delivered for the first time. */
const job: DeliveryTerms = { id: 'job', session: 'session-1', number: 10n, claim: false, redelivered: false };
const announced: ProxyTerms = { session: 'session-1', proxy: 'proxy', nextNumber: 10n, leaseMs, leaving: false };

/** A gate whose clock stands where the test says, and that has heard the proxy. */
class Scene {
  readonly gate = new JobGate(leaseMs);
  now = 1_000_000;

  hear(terms: Partial<ProxyTerms> = {}): this {
    this.gate.heardProxy({ ...announced, ...terms }, this.now);
    return this;
  }

  deliver(terms: Partial<DeliveryTerms> = {}): string {
    return this.gate.delivered({ ...job, ...terms }, this.now);
  }

  mayExecute(askedAt: number, leftMs = 30_000): boolean {
    return this.gate.mayExecute('job', { askedAt, leftMs }, this.now);
  }
}

describe('a repeatable job', () => {
  test('is executed at once if we would have heard its cancel', () => {
    expect(new Scene().hear().deliver()).toBe('execute');
    expect(new Scene().hear().deliver({ number: 11n })).toBe('execute');
  });

  test('made before we heard the proxy is asked for: its cancel may have passed', () => {
    expect(new Scene().hear().deliver({ number: 9n })).toBe('claim');
  });

  test('of a proxy that we have not heard is asked for', () => {
    expect(new Scene().deliver()).toBe('claim');
    expect(new Scene().hear({ session: 'session-0', proxy: 'other' }).deliver()).toBe('claim');
  });

  test('that somebody had before us is asked for', () => {
    expect(new Scene().hear().deliver({ redelivered: true })).toBe('claim');
  });

  test('of a silent proxy is asked for, until that is heard again', () => {
    const scene = new Scene().hear();
    scene.now += leaseMs - 1;
    expect(scene.deliver()).toBe('execute');
    scene.now += 1;
    expect(scene.deliver()).toBe('claim');
    scene.hear({ nextNumber: 50n });
    expect(scene.deliver({ number: 60n })).toBe('execute');
  });

  test('made within our hearing stays so while the proxy goes on counting', () => {
    const scene = new Scene().hear();
    for (let i = 0; i < 20; i++) {
      scene.now += 1_000;
      scene.hear({ nextNumber: BigInt(100 + i) });
    }
    expect(scene.deliver({ number: 10n })).toBe('execute');
  });

  test('is asked for after our ear was closed for a while, until it was made after that', () => {
    const scene = new Scene().hear();
    scene.gate.deaf();
    expect(scene.deliver()).toBe('claim');
    scene.hear({ nextNumber: 20n });
    expect(scene.deliver({ number: 19n })).toBe('claim');
    expect(scene.deliver({ number: 20n })).toBe('execute');
  });

  test('of a proxy that leaves is asked for', () => {
    expect(new Scene().hear().hear({ leaving: true }).deliver()).toBe('claim');
  });

  test('of a proxy that left and is heard again counts from then on', () => {
    const scene = new Scene().hear().hear({ leaving: true }).hear({ nextNumber: 20n });
    expect(scene.deliver({ number: 19n })).toBe('claim');
    expect(scene.deliver({ number: 20n })).toBe('execute');
  });

  test('of a session that was given up for a newer one and is heard again counts from then on', () => {
    const scene = new Scene().hear().hear({ session: 'session-2' }).hear({ nextNumber: 20n });
    expect(scene.deliver({ number: 19n })).toBe('claim');
    expect(scene.deliver({ number: 20n })).toBe('execute');
  });

  test('of an earlier session of the same proxy is asked for: nobody waits for it there', () => {
    const scene = new Scene().hear().hear({ session: 'session-2', nextNumber: 1n });
    expect(scene.deliver()).toBe('claim');
    expect(scene.gate.isSessionLive('session-1', scene.now)).toBe(false);
    expect(scene.deliver({ session: 'session-2', number: 1n })).toBe('execute');
  });

  test('of one proxy has nothing to do with another', () => {
    const scene = new Scene().hear().hear({ session: 'session-b', proxy: 'proxy-b', nextNumber: 1n });
    expect(scene.deliver()).toBe('execute');
    expect(scene.deliver({ id: 'other', session: 'session-b', number: 1n })).toBe('execute');
  });
});

describe('a claimed job', () => {
  test('is asked for whatever was heard', () => {
    expect(new Scene().hear().deliver({ claim: true })).toBe('claim');
  });

  test('is executed on its grant, within our lease from when we asked', () => {
    const scene = new Scene();
    const askedAt = scene.now;
    scene.now += leaseMs - 1;
    expect(scene.mayExecute(askedAt)).toBe(true);
    scene.now += 1;
    expect(scene.mayExecute(askedAt)).toBe(false);
  });

  test('is executed within the time that the grant leaves, if that is shorter', () => {
    const scene = new Scene();
    const askedAt = scene.now;
    scene.now += 99;
    expect(scene.mayExecute(askedAt, 100)).toBe(true);
    scene.now += 1;
    expect(scene.mayExecute(askedAt, 100)).toBe(false);
    expect(scene.mayExecute(scene.now, 0)).toBe(false);
  });

  test('is not executed when it was cancelled while we asked', () => {
    const scene = new Scene();
    scene.gate.cancelled('job', scene.now);
    expect(scene.mayExecute(scene.now)).toBe(false);
  });
});

describe('a cancelled job', () => {
  test('is dropped when it comes', () => {
    const scene = new Scene().hear();
    scene.gate.cancelled('job', scene.now);
    expect(scene.deliver()).toBe('drop');
    expect(scene.deliver({ claim: true })).toBe('drop');
    expect(scene.deliver({ id: 'other' })).toBe('execute');
  });

  test('is remembered as long as any job can lie in a queue, and then forgotten', () => {
    const scene = new Scene().hear();
    scene.gate.cancelled('job', scene.now);
    scene.now += 86_399_999;
    scene.gate.tidy(scene.now);
    expect(scene.hear({ nextNumber: 10n }).deliver()).toBe('drop');
    scene.now += 1;
    scene.gate.tidy(scene.now);
    expect(scene.hear({ nextNumber: 10n }).deliver()).toBe('execute');
  });

  test('is one of the last 50,000: older cancels are forgotten first', () => {
    const scene = new Scene().hear();
    for (let i = 0; i <= 50_000; i++) scene.gate.cancelled(`job-${i}`, scene.now);
    expect(scene.deliver({ id: 'job-0' })).toBe('execute');
    expect(scene.deliver({ id: 'job-1' })).toBe('drop');
    expect(scene.deliver({ id: 'job-50000' })).toBe('drop');
  });
});

describe('a job begun here', () => {
  test.each([{}, { claim: true }, { redelivered: true }])('is joined when it comes again while it runs (%j)', terms => {
    const scene = new Scene().hear();
    scene.gate.begin('job');
    expect(scene.deliver(terms)).toBe('join');
  });

  test('is joined even if it was cancelled meanwhile: there is nothing to begin', () => {
    const scene = new Scene().hear();
    scene.gate.begin('job');
    scene.gate.cancelled('job', scene.now);
    expect(scene.deliver()).toBe('join');
  });

  test('is dropped after its end, for as long as it may come again', () => {
    const scene = new Scene().hear();
    scene.gate.begin('job');
    scene.now += 60_000; // however long it ran
    scene.gate.tidy(scene.now);
    expect(scene.deliver()).toBe('join');
    scene.gate.end('job', 30_000, scene.now);
    scene.now += 29_999;
    scene.gate.tidy(scene.now);
    expect(scene.deliver({ claim: true })).toBe('drop');
    scene.now += 1;
    scene.gate.tidy(scene.now);
    expect(scene.deliver({ claim: true })).toBe('claim');
  });
});

test('a session is worth asking while its lease lasts', () => {
  const scene = new Scene().hear();
  expect(scene.gate.isSessionLive('session-1', scene.now)).toBe(true);
  expect(scene.gate.isSessionLive('session-2', scene.now)).toBe(false);
  scene.now += leaseMs;
  expect(scene.gate.isSessionLive('session-1', scene.now)).toBe(false);
});

test('what begins here never begins again while it may come, in whatever order things are heard', () => {
  const step = fc.oneof(
    fc.record({
      act: fc.constant('deliver' as const),
      id: fc.constantFrom('1', '2', '3'),
      claim: fc.boolean(),
      redelivered: fc.boolean(),
    }),
    fc.record({ act: fc.constantFrom('hear' as const, 'deaf' as const, 'leave' as const, 'tidy' as const) }),
    fc.record({ act: fc.constantFrom('cancel' as const, 'end' as const), id: fc.constantFrom('1', '2', '3') }),
    fc.record({ act: fc.constant('wait' as const), ms: fc.nat(1_000) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const scene = new Scene();
      const begun = new Set<string>();
      const cancelled = new Set<string>();
      for (const each of steps) {
        if (each.act === 'deliver') {
          const decision = scene.deliver(each);
          if (begun.has(each.id)) expect(['join', 'drop']).toContain(decision);
          else if (cancelled.has(each.id)) expect(decision).toBe('drop');
          else if (decision === 'execute') expect(each.claim || each.redelivered).toBe(false);
          if (decision === 'execute' || decision === 'claim') {
            begun.add(each.id);
            scene.gate.begin(each.id);
          }
        } else if (each.act === 'cancel') {
          cancelled.add(each.id);
          scene.gate.cancelled(each.id, scene.now);
        } else if (each.act === 'end' && begun.has(each.id)) scene.gate.end(each.id, 100_000, scene.now);
        else if (each.act === 'wait') scene.now += each.ms;
        else if (each.act === 'hear') scene.hear();
        else if (each.act === 'leave') scene.hear({ leaving: true });
        else if (each.act === 'deaf') scene.gate.deaf();
        else if (each.act === 'tidy') scene.gate.tidy(scene.now);
      }
    }),
  );
});
