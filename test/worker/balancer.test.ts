import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Balancer } from '../../services/worker/balancer.ts';

const [a, b, c]: [string, string, string] = ['http://a:3000', 'http://b:3000', 'http://c:3000'];
const none: ReadonlySet<string> = new Set();

/** A balancer whose clock stands where the test says. */
class Scene {
  readonly balancer: Balancer;
  now = 1_000_000;

  constructor(...urls: string[]) {
    this.balancer = new Balancer(urls.length > 0 ? urls : [a, b, c]);
  }

  choose(tried: ReadonlySet<string> = none): string | undefined {
    return this.balancer.choose(this.now, tried);
  }

  call(url: string, outcome: 'ok' | 'failed' | 'refused'): void {
    this.balancer.began(url);
    this.balancer.ended(url, outcome, this.now);
  }

  healthy(): string[] {
    return this.balancer
      .view(this.now)
      .filter(({ healthy }) => healthy)
      .map(({ url }) => url);
  }
}

function times<T>(count: number, act: () => T): T[] {
  return Array.from({ length: count }, act);
}

describe('round robin', () => {
  test('goes over three in turn', () => {
    const scene = new Scene();
    expect(times(7, () => scene.choose())).toEqual([a, b, c, a, b, c, a]);
  });

  test('of one is that one', () => {
    const scene = new Scene(a);
    expect(times(3, () => scene.choose())).toEqual([a, a, a]);
  });

  test('of none is nothing', () => {
    expect(new Balancer([]).choose(0, none)).toBeUndefined();
  });

  test('passes over what a job has tried, and says when nothing is left', () => {
    const scene = new Scene();
    expect(scene.choose(new Set([a]))).toBe(b);
    expect(scene.choose(new Set([a, b]))).toBe(c);
    expect(scene.choose(new Set([a, b, c]))).toBeUndefined();
    expect(scene.choose()).toBe(a);
  });

  test('gives everybody the same share, whatever the number', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.nat(200), (size, calls) => {
        const scene = new Scene(...times(size, () => '').map((_, i) => `http://u${i}`));
        const counts = new Map<string | undefined, number>();
        for (const url of times(calls, () => scene.choose())) counts.set(url, (counts.get(url) ?? 0) + 1);
        for (const count of counts.values()) expect(Math.abs(count - calls / size)).toBeLessThan(1);
      }),
    );
  });
});

describe('an upstream that refuses', () => {
  test('is left out while the others take its turns', () => {
    const scene = new Scene();
    scene.call(b, 'refused');
    expect(scene.healthy()).toEqual([a, c]);
    expect(times(4, () => scene.choose())).toEqual([a, c, a, c]);
  });

  test('is tried again after a second, then after twice as long each time, up to 30 s', () => {
    const scene = new Scene();
    for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
      scene.call(b, 'refused');
      scene.now += seconds * 1_000 - 1;
      expect(scene.healthy(), `just before ${seconds} s`).not.toContain(b);
      scene.now += 1;
      expect(scene.healthy(), `after ${seconds} s`).toContain(b);
      expect(times(3, () => scene.choose())).toContain(b);
    }
  });

  test('is whole again after one success', () => {
    const scene = new Scene();
    scene.call(b, 'refused');
    scene.now += 1_000;
    scene.call(b, 'refused');
    scene.call(b, 'ok');
    expect(scene.healthy()).toEqual([a, b, c]);
    scene.call(b, 'refused');
    scene.now += 1_000;
    expect(scene.healthy()).toContain(b);
  });

  test('while many requests are on their way to it is out for one term, not for one each', () => {
    const scene = new Scene();
    for (let i = 0; i < 64; i++) scene.balancer.began(b);
    for (let i = 0; i < 64; i++) scene.balancer.ended(b, 'refused', scene.now);
    scene.now += 1_000;
    expect(scene.healthy()).toContain(b);
  });

  test('is still tried when no other is left for a job', () => {
    const scene = new Scene();
    scene.call(b, 'refused');
    expect(scene.choose(new Set([a, c]))).toBe(b);
  });
});

test('when all are out the one that comes back soonest is tried, since refusing without a try helps nobody', () => {
  const scene = new Scene();
  scene.call(c, 'refused');
  scene.now += 1;
  scene.call(b, 'refused');
  scene.now += 1;
  scene.call(a, 'refused');
  expect(scene.healthy()).toEqual([]);
  expect(times(2, () => scene.choose())).toEqual([c, c]);
  expect(scene.choose(new Set([c]))).toBe(b);
  expect(scene.choose(new Set([c, b]))).toBe(a);
});

test('an upstream that breaks in the middle keeps its turns: it did take the request', () => {
  const scene = new Scene();
  scene.call(b, 'failed');
  expect(scene.healthy()).toEqual([a, b, c]);
});

test('what is told of an upstream: requests, failures, and how many are under way', () => {
  const scene = new Scene(a);
  scene.call(a, 'ok');
  scene.call(a, 'failed');
  scene.call(a, 'refused');
  scene.balancer.began(a);
  expect(scene.balancer.view(scene.now)).toEqual([{ url: a, healthy: false, inFlight: 1, requests: 4, failures: 2 }]);
});

test('an upstream nobody knows is a mistake of the caller', () => {
  expect(() => new Scene().balancer.began('http://x')).toThrow(RangeError);
});

test('whatever happens, a choice is an upstream that was not tried, and a healthy one if there is any', () => {
  const step = fc.record({
    outcome: fc.constantFrom('ok' as const, 'failed' as const, 'refused' as const),
    tried: fc.uniqueArray(fc.constantFrom(a, b, c), { maxLength: 3 }),
    wait: fc.nat(5_000),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), steps => {
      const scene = new Scene();
      for (const { outcome, tried, wait } of steps) {
        scene.now += wait;
        const left = [a, b, c].filter(url => !tried.includes(url));
        const url = scene.choose(new Set(tried));
        if (url === undefined) {
          expect(left).toEqual([]);
          continue;
        }
        expect(left).toContain(url);
        const healthy = scene.healthy().filter(each => left.includes(each));
        if (healthy.length > 0) expect(healthy).toContain(url);
        scene.call(url, outcome);
      }
      expect(scene.balancer.view(scene.now).every(({ inFlight }) => inFlight === 0)).toBe(true);
    }),
  );
});
