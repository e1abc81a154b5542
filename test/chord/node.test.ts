import { describe, expect, test } from 'vitest';
import { ChordNode } from '../../services/chord/node.ts';
import type { Peer } from '../../services/chord/peer.ts';
import type { Neighbours } from '../../services/chord/ports.ts';
import { EventQueue } from './simulation/event-queue.ts';
import { id, peer, SmallRing } from './simulation/small-ring.ts';

const listAt = (ring: SmallRing, place: number): number[] =>
  ring.at(place).first.node.neighbours.successors.map(({ id }) => Number(id));

describe('a ring', () => {
  test('of one owns every key, without a call', async () => {
    const ring = await new SmallRing().grow(10);
    const found = await ring.at(10).first.node.lookup(id(9));
    expect([found.owner, found.path]).toEqual([peer(10), []]);
    expect(listAt(ring, 10)).toEqual([10, 10, 10]);
    expect(ring.network.calls).toBe(0);
  });

  test('grows one by one, and says that it is not safe until it has r + 1 members', async () => {
    const ring = await new SmallRing().grow(10);
    for (const [count, place] of [20, 30, 40, 50].entries()) {
      expect(ring.at(10).first.node.isSafe).toBe(false);
      await ring.run(ring.host(peer(place)).join([peer(10)]));
      await ring.settle();
      expect(ring.unideal()).toBeUndefined();
      if (count === 0) expect(listAt(ring, 10)).toEqual([20, 10, 20]);
      if (count >= 2) break;
    }
    for (const place of [10, 20, 30, 40]) expect(ring.at(place).first.node.isSafe).toBe(true);
  });

  test('shrinks to one again', async () => {
    const ring = await new SmallRing().grow(10, 20, 30);
    for (const place of [10, 20]) {
      ring.kill(place);
      await ring.settle();
      expect(ring.unideal()).toBeUndefined();
    }
    expect(listAt(ring, 30)).toEqual([30, 30, 30]);
    expect((await ring.run(ring.at(30).first.node.lookup(id(15)))).owner).toEqual(peer(30));
  });

  test('knows a new member after a few messages, without waiting for anybody’s next round', async () => {
    const ring = await new SmallRing({ stabilizeMs: 1e6, repairMs: 1e6 }).grow(10, 20, 30, 50, 60);
    await ring.run(ring.host(peer(40)).join([peer(10)]));
    await ring.pass(100);
    expect(listAt(ring, 30)[0]).toBe(40);
    expect(ring.at(50).first.node.neighbours.predecessor).toEqual(peer(40));
    expect(ring.events).toContainEqual({ type: 'joined', node: peer(40) });
  });

  test('closes over who leaves at once, and tells', async () => {
    const ring = await new SmallRing({ stabilizeMs: 1e6, repairMs: 1e6 }).grow(10, 20, 30, 40, 50);
    await ring.run(ring.at(30).leave());
    await ring.pass(300);
    expect(listAt(ring, 20)[0]).toBe(40);
    expect(ring.at(40).first.node.neighbours.predecessor).toEqual(peer(20));
    expect(ring.events).toContainEqual({ type: 'leaving', node: peer(30) });
  });

  test('hears of a member’s end from others before it notices itself', async () => {
    const ring = await new SmallRing({ stabilizeMs: 1e6, repairMs: 1e6 }).grow(10, 20, 30, 40, 50);
    ring.kill(30);
    await ring.pass(10_000);
    expect(listAt(ring, 20)[0]).toBe(30);
    for (const place of [20, 40]) ring.at(place).hear({ type: 'suspect', node: peer(30), by: peer(50) });
    await ring.pass(2_000);
    expect(listAt(ring, 20)[0]).toBe(40);
    expect(ring.at(40).first.node.neighbours.predecessor).toEqual(peer(20));
  });

  test('takes a member again at its old place, with nothing left of before', async () => {
    const ring = await new SmallRing().grow(10, 20, 30, 40, 50);
    await ring.run(ring.at(30).leave());
    expect(ring.at(30).first.node.isMember).toBe(false);
    await ring.settle();
    await ring.run(ring.at(30).join([peer(10)]));
    await ring.settle();
    expect(ring.unideal()).toBeUndefined();
    expect(ring.members()).toHaveLength(5);
  });

  test('founded apart becomes one when its members look themselves up through outsiders', async () => {
    const ring = new SmallRing();
    const places = [10, 20, 30, 40, 50, 60, 70, 80];
    ring.rendezvous = async () => places.map(place => peer(place));
    await ring.grow(10, 30, 50, 70);
    expect(ring.members()).toHaveLength(4);
    // The second, which nobody of the first knows.
    const other = ring.host(peer(20));
    await ring.run(other.found());
    for (const place of [40, 60, 80]) await ring.run(ring.host(peer(place)).join([peer(20)]));
    await ring.pass(60_000);
    expect(ring.unideal()).toBeUndefined();
    expect(ring.members()).toHaveLength(8);
  });

  test('founded apart stays apart without a rendezvous', async () => {
    const ring = await new SmallRing().grow(10, 30, 50, 70);
    await ring.run(ring.host(peer(20)).found());
    await ring.pass(60_000);
    expect(ring.unideal()).toBeDefined();
  });
});

describe('a node outside of a ring', () => {
  test('answers nobody', () => {
    const { node } = new SmallRing().host(peer(10)).first;
    for (const call of ['ping', 'neighbours', 'notify', 'nudge'] as const)
      expect(() => node.answer(call, {}, peer(20))).toThrow(expect.objectContaining({ code: 'OUTSIDE' }));
  });

  test('looks nothing up', async () => {
    const { node } = new SmallRing().host(peer(10)).first;
    await expect(node.lookup(id(1))).rejects.toMatchObject({ code: 'OUTSIDE' });
  });

  test('is told when nobody lets it in', async () => {
    const ring = new SmallRing();
    await expect(ring.run(ring.host(peer(10)).join([peer(20)]))).rejects.toMatchObject({ code: 'NOT_JOINED' });
    ring.host(peer(20));
    await expect(ring.run(ring.at(10).join([peer(20)]))).rejects.toMatchObject({ code: 'NOT_JOINED' });
  });

  test('joins only once', async () => {
    const ring = await new SmallRing().grow(10, 20);
    await expect(ring.run(ring.at(20).join([peer(10)]))).rejects.toMatchObject({ code: 'ALREADY_A_MEMBER' });
  });
});

/** One node whose questions the test answers by hand. */
class Questioned {
  readonly queue = new EventQueue();
  readonly asked: { to: Peer; call: string; answer: (reply: unknown) => void }[] = [];
  readonly node: ChordNode;

  constructor() {
    const transport = {
      call: (to: Peer, call: string) => new Promise(answer => void this.asked.push({ to, call, answer })),
    };
    this.node = new ChordNode({ transport: transport as never, clock: this.queue, random: () => 0.5 }, peer(10), {
      r: 3,
      callTimeoutMs: 100,
      hopLimit: 10,
    });
    this.node.enter({ predecessor: peer(90), successors: [peer(50), peer(60), peer(70)] });
  }

  async answer(place: number, reply: Neighbours): Promise<void> {
    const at = this.asked.findIndex(({ to, call }) => to.id === id(place) && call === 'neighbours');
    this.asked.splice(at, 1)[0]?.answer(reply);
    await this.queue.runUntil(this.queue.now());
    await new Promise(resolve => setImmediate(resolve));
  }

  get list(): number[] {
    return this.node.neighbours.successors.map(({ id }) => Number(id));
  }
}

describe('stabilizing', () => {
  const of = (predecessor: number, ...successors: number[]): Neighbours => ({
    predecessor: peer(predecessor),
    successors: successors.map(place => peer(place)),
  });

  test('takes the head’s list, then that of the head’s predecessor', async () => {
    const it = new Questioned();
    void it.node.stabilize();
    await it.answer(50, of(30, 60, 65, 70));
    expect(it.list).toEqual([50, 60, 65]);
    await it.answer(30, of(10, 50, 60, 65));
    await it.queue.runUntil(it.queue.now() + 1_000);
    expect(it.list).toEqual([30, 50, 60]);
    expect(it.asked).toMatchObject([{ to: peer(30), call: 'notify' }]);
  });

  test('does not take a predecessor that is silent', async () => {
    const it = new Questioned();
    void it.node.stabilize();
    await it.answer(50, of(30, 60, 65, 70));
    await it.queue.runUntil(1_000);
    expect(it.list).toEqual([50, 60, 65]);
  });

  test('asks nobody that does not lie between', async () => {
    const it = new Questioned();
    void it.node.stabilize();
    await it.answer(50, of(90, 60, 65, 70));
    await it.queue.runUntil(it.queue.now() + 1_000);
    expect(it.asked.map(({ to, call }) => [Number(to.id), call])).toEqual([[50, 'notify']]);
  });

  test('drops a dead head and goes on to the next at once', async () => {
    const it = new Questioned();
    void it.node.stabilize();
    await it.queue.runUntil(201);
    expect(it.list).toEqual([60, 70]);
    await it.answer(60, of(50, 70, 80, 90));
    expect(it.list).toEqual([60, 70, 80]);
  });

  test('drops the answer of a life before', async () => {
    const it = new Questioned();
    void it.node.stabilize();
    it.node.close();
    it.node.enter({ predecessor: undefined, successors: [peer(70), peer(80), peer(90)] });
    await it.answer(50, of(10, 60, 65, 70));
    expect(it.list).toEqual([70, 80, 90]);
  });

  test('drops the second answer when the head is another by then', async () => {
    const it = new Questioned();
    void it.node.stabilize();
    await it.answer(50, of(30, 60, 65, 70));
    // An outsider finds another one meanwhile.
    const meeting = it.node.meet(peer(55));
    await new Promise(resolve => setImmediate(resolve));
    it.asked.find(({ call }) => call === 'route')?.answer({ closer: [], owners: [peer(20)], predecessor: peer(5) });
    await new Promise(resolve => setImmediate(resolve));
    await it.answer(20, of(5, 40, 60, 65));
    expect(it.list).toEqual([20, 40, 60]);
    await it.answer(30, of(10, 50, 60, 65));
    expect(it.list).toEqual([20, 40, 60]);
    await it.queue.runUntil(1_000);
    await meeting;
  });

  test('runs one round at a time', async () => {
    const it = new Questioned();
    void it.node.stabilize();
    void it.node.stabilize();
    expect(it.asked).toHaveLength(1);
  });

  test('is done once, however often a node is nudged', async () => {
    const it = new Questioned();
    for (let left = 100; left > 0; left--) it.node.answer('nudge', {}, peer(90));
    await it.queue.runUntil(50);
    expect(it.asked.map(({ call }) => call).sort()).toEqual(['neighbours', 'ping']);
    it.node.answer('nudge', {}, peer(90));
    await it.queue.runUntil(90);
    expect(it.asked).toHaveLength(2);
  });
});

describe('meeting an outsider', () => {
  test('tells whoever it finds farther than its head, and takes it not for the head', async () => {
    const it = new Questioned();
    void it.node.meet(peer(55));
    await new Promise(resolve => setImmediate(resolve));
    it.asked.find(({ call }) => call === 'route')?.answer({ closer: [], owners: [peer(56)], predecessor: peer(5) });
    await new Promise(resolve => setImmediate(resolve));
    expect(it.asked.map(({ to, call }) => [Number(to.id), call])).toEqual([
      [55, 'route'],
      [56, 'notify'],
    ]);
    expect(it.list).toEqual([50, 60, 70]);
  });
});

describe('a notified node', () => {
  test('takes whoever is nearer, and keeps whom it has while that lives', async () => {
    const it = new Questioned();
    it.node.answer('notify', {}, peer(95));
    expect(it.node.neighbours.predecessor).toEqual(peer(95));
    it.node.answer('notify', {}, peer(80));
    it.asked.find(({ to, call }) => to.id === id(95) && call === 'ping')?.answer({});
    await it.queue.runUntil(1_000);
    expect(it.node.neighbours.predecessor).toEqual(peer(95));
  });

  test('takes who lies farther once the one that it has is dead', async () => {
    const it = new Questioned();
    it.node.answer('notify', {}, peer(80));
    expect(it.node.neighbours.predecessor).toEqual(peer(90));
    await it.queue.runUntil(1_000);
    expect(it.node.neighbours.predecessor).toEqual(peer(80));
  });

  test('takes them also where its own check finds the same at the same time', async () => {
    const it = new Questioned();
    void it.node.checkPredecessor();
    it.node.answer('notify', {}, peer(80));
    await it.queue.runUntil(1_000);
    expect(it.node.neighbours.predecessor).toEqual(peer(80));
  });

  test('takes the nearest of those who come while it asks', async () => {
    const it = new Questioned();
    for (const place of [60, 70, 80, 65]) it.node.answer('notify', {}, peer(place));
    await it.queue.runUntil(1_000);
    expect(it.node.neighbours.predecessor).toEqual(peer(80));
  });

  test('has no more than one such question open', () => {
    const it = new Questioned();
    for (let left = 50; left > 0; left--) it.node.answer('notify', {}, peer(80));
    expect(it.asked).toHaveLength(1);
  });
});
