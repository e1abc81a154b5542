import { clientDefaults } from '../../services/chat/core/client-events.ts';
import { serverDefaults } from '../../services/chat/core/server-events.ts';
import { EventQueue } from '../chord/simulation/event-queue.ts';
import { describe, describeInput, nameOf } from './simulation/describe.ts';
import { ModelBroker } from './simulation/model-broker.ts';
import { ModelNaming } from './simulation/model-naming.ts';
import { ModelProcess } from './simulation/model-process.ts';
import { Oracle } from './simulation/oracle.ts';
import type { World } from './simulation/world.ts';

type Blow = World['hazard'];

/** The chat's machines on a calm stage: each way takes 1 ms, nothing goes wrong but what a script has go wrong. */
export class Stage {
  readonly queue = new EventQueue();
  readonly lines: string[] = [];
  readonly broker: ModelBroker;
  readonly naming: ModelNaming;
  readonly processes: ModelProcess[] = [];
  /** What strikes just after an effect. */
  strike: Blow = () => {};
  readonly #judged = new Oracle();
  /** When the story begins. */
  #from: number | undefined;

  /** @param leaseMs and how often it migrates; 0: never */
  constructor({ leaseMs, migrateEveryMs }: { leaseMs: number; migrateEveryMs: number }) {
    const weather = {
      delay: () => 1,
      returnsLate: () => false,
      keepsPlaces: true,
      repeats: () => 0,
      skips: () => false,
    };
    this.broker = new ModelBroker(this.queue, weather, { segment: 1, segments: 0 });
    // Never so low that something is lost, nor as high as to be last.
    const random = (): number => 0.5;
    this.naming = new ModelNaming(this.queue, random, leaseMs, 0);
    const world: World = {
      ...{ queue: this.queue, broker: this.broker, naming: this.naming, random, mutation: {} },
      server: { ...serverDefaults, leaseMs, migrateEveryMs },
      client: clientDefaults,
      others: () => this.processes,
      say: text => this.#say(text()),
      hazard: (process, effect) => this.strike(process, effect),
      ...{ onRead: () => {}, onShown: () => {}, onCut: () => {}, onSaid: () => {}, onOutcome: () => {} },
    };
    this.broker.onAppend = ({ offset, from, entry }) => {
      const isCounted = this.#counts(offset);
      this.#say(`log ${offset}: ${describe(entry)} from ${nameOf(from)}${isCounted ? '' : ': void'}`);
    };
    this.broker.onPublish = ({ content, from }) =>
      this.#say(`input: ${typeof content === 'string' ? `${content} (${nameOf(from)})` : describeInput(content)}`);
    this.broker.onAck = ({ content }, { peer }) => {
      if (typeof content !== 'string') this.#say(`${nameOf(peer.member)} has acked ${describeInput(content)}`);
    };
    for (let place = 0; place < 3; place++) this.processes.push(new ModelProcess(world, place, place === 0));
  }

  /** A founds the chat, all join the lobby, and somebody stands by. */
  async open(): Promise<this> {
    const [a, b, c] = this.processes;
    a?.start();
    await this.pass(100);
    for (const process of [b, c]) process?.start();
    for (const process of this.processes) process.say({ kind: 'join', room: 'lobby' });
    await this.until(() => this.processes.some(({ server }) => server.mode === 'standby'));
    await this.pass(200);
    this.#from = this.queue.now();
    return this;
  }

  at(name: string): ModelProcess {
    const process = this.processes.find(each => each.name === name);
    if (process === undefined) throw new Error(`no ${name} here`);
    return process;
  }

  says(name: string, text: string): void {
    this.at(name).say({ kind: 'message', room: 'lobby', text, mentions: [] });
  }

  async pass(ms: number): Promise<void> {
    await this.queue.runUntil(this.queue.now() + ms);
  }

  async until(isDone: () => boolean, ms = 60_000): Promise<void> {
    await this.queue.runUntil(this.queue.now() + ms, isDone);
    if (!isDone()) throw new Error(`it did not come to that in ${ms} ms:\n${this.lines.join('\n')}`);
  }

  /** The texts that everybody sees, in order. */
  texts(): string[] {
    return this.broker.entries.flatMap(({ entry, offset }) => {
      if (entry?.kind !== 'input' || entry.input.operation.kind !== 'message' || !this.#counts(offset)) return [];
      return [entry.input.operation.text];
    });
  }

  /** The log as a reader without a fault sees it. */
  #counts(offset: number): boolean {
    return this.#oracle().counts[offset] === true;
  }

  #oracle(): Oracle {
    for (const logged of this.broker.entries.slice(this.#judged.counts.length)) this.#judged.append(logged);
    return this.#judged;
  }

  #say(line: string): void {
    if (this.#from !== undefined) this.lines.push(`${(this.queue.now() - this.#from).toFixed(0).padStart(5)}  ${line}`);
  }
}
