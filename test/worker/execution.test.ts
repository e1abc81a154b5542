import type { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import type { Job } from '../../proto/gen/warren/proxy/v1/job.ts';
import type { PartToSend } from '../../services/lib/parts.ts';
import { Balancer } from '../../services/worker/balancer.ts';
import { Execution, type ExecutionHost } from '../../services/worker/execution.ts';
import type {
  Cancellation,
  Upstream,
  UpstreamEnd,
  UpstreamListener,
  UpstreamRequest,
} from '../../services/worker/upstream.ts';

const url = 'http://backend:1';
const job: Job = {
  number: 1n,
  method: 'GET',
  target: '/',
  fields: [],
  body: Buffer.alloc(0),
  claim: false,
  deadlineMs: 30_000,
  streamed: false,
  bodyLength: undefined,
  upgrade: '',
  responseCredit: 256 * 1024,
};

/** An execution over an upstream and a broker that do what the test says. */
class Scene {
  readonly parts: PartToSend['part'][] = [];
  readonly grants: bigint[] = [];
  streams = 0;
  room = 1;
  isForced = false;
  takesGrants = true;
  /** Confirms what was sent. */
  confirm: () => void = () => {};
  answer: UpstreamListener | undefined;
  body: Readable | undefined;
  end: (end: UpstreamEnd) => void = () => {};
  readonly execution: Execution;

  constructor(some: Partial<Job> = {}, leftMs = 30_000) {
    const upstream = {
      url,
      place: 'backend:1',
      call: ({ body }: UpstreamRequest, listener: UpstreamListener, control: Cancellation) => {
        this.answer = listener;
        if (!(body instanceof Uint8Array)) this.body = body;
        return new Promise<UpstreamEnd>(resolve => {
          this.end = resolve;
          const aborted = (): void => resolve({ kind: 'aborted', reason: 'aborted' });
          if (control.aborted) aborted();
          control.onAbort = aborted;
        });
      },
    };
    const host: ExecutionHost = {
      service: 'web',
      balancer: new Balancer([url]),
      upstreams: new Map([[url, upstream as unknown as Upstream]]),
      clock: () => 0,
      log: () => {},
      send: (_session, { part }) => {
        this.parts.push(part);
        const before = this.confirm;
        return new Promise(resolve => {
          this.confirm = () => {
            before();
            resolve();
          };
        });
      },
      grant: (_session, { until }) => {
        if (this.takesGrants) this.grants.push(until);
      },
      admit: () => {
        if (this.streams >= this.room) return false;
        this.streams++;
        return true;
      },
      release: () => void this.streams--,
      isForced: () => this.isForced,
    };
    const terms = { id: 'job', session: 'session', attempt: 'attempt', job: { ...job, ...some }, leftMs };
    this.execution = new Execution(host, terms);
  }

  async verdict(): Promise<string> {
    for (let i = 0; i < 5; i++) await turn();
    return Promise.race([this.execution.verdict, turn('held')]);
  }
}

const whole: UpstreamEnd = { kind: 'complete', reason: '' };

test('a job is held until the broker has the first part of its response, then acknowledged, and counted until the end', async () => {
  const scene = new Scene();
  scene.answer?.head(200, []);
  expect(await scene.verdict()).toBe('held');
  scene.confirm();
  expect(await scene.verdict()).toBe('ack');
  expect(scene.streams).toBe(1);
  scene.end(whole);
  await turn();
  scene.confirm();
  await scene.execution.done;
  expect(scene.streams).toBe(0);
  expect(scene.parts.map(({ index, last }) => [index, last])).toEqual([
    [0, false],
    [1, true],
  ]);
});

test('with no room for one more stream it is held to the end', async () => {
  const scene = new Scene();
  scene.room = 0;
  scene.answer?.head(200, []);
  await turn();
  scene.confirm();
  expect(await scene.verdict()).toBe('held');
  scene.end(whole);
  await turn();
  scene.confirm();
  expect(await scene.verdict()).toBe('ack');
});

test.each([
  ['goes back to the queue', {}, 'requeue'],
  ['does not, if it is claimed', { claim: true }, 'ack'],
])('broken off at the end of the drain before its response, it %s', async (_what, some, verdict) => {
  const scene = new Scene(some);
  scene.isForced = true;
  scene.execution.abort();
  expect(await scene.verdict()).toBe(verdict);
  expect(scene.streams).toBe(0);
});

test('broken off in the middle of its response it says so, and settles when that is confirmed', async () => {
  const scene = new Scene();
  scene.answer?.head(200, []);
  await turn();
  scene.execution.abort();
  expect(scene.parts.at(-1)).toMatchObject({ index: 1, last: true, failure: { status: 503 } });
  scene.confirm();
  await scene.execution.done;
});

test('as a tunnel it tells the proxy when the broker was lost that another worker may do', async () => {
  const scene = new Scene({ streamed: true, claim: true, upgrade: 'websocket' });
  scene.answer?.head(101, []);
  await turn();
  scene.execution.brokerLost();
  expect(scene.parts.at(-1)).toMatchObject({ index: 1, last: true, failure: { status: 503 } });
});

test('with a body that was on its way when the broker was lost, it tells the proxy, which cannot know', async () => {
  const scene = new Scene({ streamed: true, claim: true });
  scene.execution.brokerLost();
  await turn();
  expect(scene.parts).toMatchObject([{ index: 0, last: true, failure: { status: 502 } }]);
  scene.confirm();
  await scene.execution.done;
});

test('a grant of body credit that the broker did not take is given again', async () => {
  const scene = new Scene({ streamed: true, claim: true });
  expect(scene.grants).toEqual([256n * 1024n]);
  scene.takesGrants = false;
  scene.body?.on('data', () => {});
  for (let index = 0; index < 4; index++)
    scene.execution.requestPart('attempt', { index, body: Buffer.alloc(65_536), last: false });
  await turn();
  scene.takesGrants = true;
  scene.execution.grantAgain();
  expect(scene.grants.at(-1)).toBeGreaterThan(256n * 1024n);
});

test('each piece of its body gives it a whole deadline, however little was left when it began', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const scene = new Scene({ streamed: true, claim: true, deadlineMs: 30_000 }, 1_000);
    const control = vi.fn();
    void scene.execution.done.then(control);
    await vi.advanceTimersByTimeAsync(900);
    scene.execution.requestPart('attempt', { index: 0, body: Buffer.from('a'), last: false });
    await vi.advanceTimersByTimeAsync(29_000);
    expect(control).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(control).toHaveBeenCalled();
  } finally {
    vi.useRealTimers();
  }
});
