import { randomInt } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { MemberHost } from '../../bus/hosted.ts';
import { chatLog } from '../../bus/queues.ts';
import { type StreamEntry, tailStream } from '../../bus/stream-tail.ts';
import { messageOf } from '../../lib/failure.ts';
import type { ChatStore } from '../chat-store.ts';
import { ChatLog, type Read } from '../core/chat-log.ts';
import { ChatClient } from '../core/client.ts';
import type { ClientEffect, ClientEvent } from '../core/client-events.ts';
import type { Operation } from '../core/entry.ts';
import type { ServerMode, ServerOptions } from '../core/server-events.ts';
import { isAuthentic, signInput } from '../signed.ts';
import { decodeEntry, encodeInput } from '../wire.ts';
import type { KeepRegistered, NamingClient } from './naming-edge.ts';
import { memberIn, ServerEdge } from './server-edge.ts';

export interface ChatNodeNeeds {
  readonly host: Pick<
    MemberHost,
    'id' | 'keys' | 'bus' | 'openBus' | 'queueType' | 'addresses' | 'now' | 'clock' | 'random' | 'log' | 'warn'
  >;
  readonly store: ChatStore;
  readonly naming: { readonly client: NamingClient; readonly keepRegistered: KeepRegistered };
  /** Each read of the log, once, in order, before anything is done about it. */
  readonly onRead: (read: Read) => void;
  /** How the log stands is about to be written down: @returns whether all that was read before is kept elsewhere as far as it must be */
  readonly onKeep: () => boolean;
  /** Something this member has said stands in the log, or does not and will not. */
  readonly onOutcome: (effect: Extract<ClientEffect, { kind: 'written' | 'refused' }>) => void;
}

export interface ChatNodeOptions {
  readonly chat: string;
  readonly server: ServerOptions;
}

/** Why something was not taken. */
export type TurnedAway = Extract<ClientEffect, { kind: 'turned-away' }>['reason'];

const tickMs = 50;
/** How often the state is written to the disk, in entries read. */
const snapshotEvery = 2_000;

/**
 * A member's part in one chat, over the bus: it reads the log for its server and its client, and does what the client wants. It begins with
 * the first connection to a broker that has the log.
 */
export class ChatNode {
  readonly log: ChatLog;
  readonly #needs: ChatNodeNeeds;
  readonly #chat: string;
  readonly #server: ServerEdge;
  readonly #client: ChatClient;
  readonly #ends: (() => unknown)[] = [];
  /** Publishes of inputs end with the connection: the client says them again on the next one. */
  #connection = new AbortController();
  #isOpening = false;
  #isStarted = false;
  #isClosing = false;
  #readSince = 0;
  #reading = 0;
  #turnedAway: TurnedAway | undefined;

  constructor(needs: ChatNodeNeeds, { chat, server: options }: ChatNodeOptions) {
    const { host, store, naming } = needs;
    const { id: self, bus } = host;
    this.#needs = needs;
    this.#chat = chat;
    const from = store.snapshot();
    const log = new ChatLog({ isAuthentic }, from === undefined ? {} : { from });
    this.log = log;
    const onAdopt: ConstructorParameters<typeof ServerEdge>[0]['onAdopt'] = taken => this.#reads(log.adopt(taken));
    this.#server = new ServerEdge({ host, chat, options, log, naming, onAdopt });
    this.#client = new ChatClient({ self, log, isAuthentic, random32: () => randomInt(2 ** 32) }, store.items());
    this.#ends.push(
      () => this.#server.close(),
      bus.onState(state => {
        if (state === 'up') this.#connected();
        else if (state !== 'blocked') this.#disconnected();
      }),
    );
    if (bus.state === 'up') this.#connected();
  }

  get mode(): ServerMode {
    return this.#server.mode;
  }

  /** What this member has said that does not stand in the log yet. */
  get onItsWay(): number {
    return this.#client.size;
  }

  get isConnected(): boolean {
    const { state } = this.#needs.host.bus;
    return this.#isStarted && (state === 'up' || state === 'blocked');
  }

  /** @returns the item's id, by which its outcome is told; or why it was not taken */
  say(operation: Operation): { readonly item: number } | { readonly turnedAway: TurnedAway } {
    this.#turnedAway = undefined;
    this.#toClient({ kind: 'say', operation, sentAtMs: this.#needs.host.now(), now: this.#now });
    return this.#turnedAway === undefined ? { item: this.#client.lastId } : { turnedAway: this.#turnedAway };
  }

  /** How many members are there, this one included. */
  present(count: number): void {
    this.#server.present(count);
  }

  /** Hands over, if it serves and somebody stands by, and ends. */
  async close(): Promise<void> {
    await this.#server.leave();
    this.#isClosing = true;
    this.#connection.abort();
    for (const end of this.#ends.splice(0).reverse()) await end();
    this.#keep();
  }

  // --- what comes

  #connected(): void {
    this.#connection = new AbortController();
    // One for each input on its way.
    setMaxListeners(0, this.#connection.signal);
    if (this.#isStarted) return this.#toClient({ kind: 'connected', now: this.#now });
    if (this.#isOpening) return;
    this.#isOpening = true;
    this.#server.ready().then(
      () => this.#follow(),
      () => {
        this.#isOpening = false;
      },
    );
  }

  #disconnected(): void {
    this.#connection.abort();
    if (this.#isStarted) this.#toClient({ kind: 'disconnected' });
  }

  #follow(): void {
    if (this.#isClosing) return;
    const from = this.log.state.offset < 0 ? 'first' : BigInt(this.log.nextOffset);
    const tail = tailStream(this.#needs.host.bus, chatLog(this.#chat), entry => this.#tailed(entry), { from });
    this.#ends.push(() => tail.close());
    // Not before there is a log: what is said to a chat that the network does not have is lost.
    void tail.begun.then(() => this.#begin());
  }

  #begin(): void {
    if (this.#isStarted || this.#isClosing) return;
    this.#isStarted = true;
    this.#server.start();
    this.#toClient({ kind: 'start', now: this.#now });
    if (this.isConnected) this.#toClient({ kind: 'connected', now: this.#now });
    const ticks = setInterval(() => {
      this.#server.tick();
      this.#toClient({ kind: 'tick', now: this.#now });
    }, tickMs);
    this.#ends.push(() => clearInterval(ticks));
  }

  #tailed({ offset, after, userId, type, body, isStray }: StreamEntry): void {
    this.#begin();
    const isEntry = isStray !== true && type === 'warren.chat.v1.Entry';
    const decoded = isEntry ? decodeEntry(body, this.#chat) : undefined;
    this.#reads(
      this.log.read({
        ...{ offset: Number(offset), size: body.length },
        ...(after === undefined ? {} : { after: Number(after) }),
        from: isEntry ? memberIn(userId) : undefined,
        entry: decoded?.entry,
        atMs: decoded?.atMs ?? 0,
      }),
    );
  }

  #reads(reads: readonly Read[]): void {
    this.#reading++;
    for (const read of reads) {
      this.#needs.onRead(read);
      this.#server.read(read);
      this.#toClient({ kind: 'read', read, now: this.#now });
      this.#readSince++;
      if (read.kind === 'cut') this.#readSince = snapshotEvery;
    }
    this.#reading--;
    // Not before all are done with: the reader is ahead of what was done about them.
    if (this.#reading === 0 && this.#readSince >= snapshotEvery) this.#keep();
  }

  #keep(): void {
    this.#readSince = 0;
    const { store, host, onKeep } = this.#needs;
    try {
      if (this.log.state.epoch > 0 && onKeep()) store.keepSnapshot(this.log.snapshot());
    } catch (error) {
      host.warn(`chat ${this.#chat}: cannot keep how it stands: ${messageOf(error)}`);
    }
  }

  // --- what the client wants

  #toClient(event: ClientEvent): void {
    for (const effect of this.#client.handle(event)) this.#act(effect);
  }

  #act(effect: ClientEffect): void {
    const { host, store, onOutcome } = this.#needs;
    switch (effect.kind) {
      case 'store':
        return store.put(effect.item);
      case 'publish': {
        const body = encodeInput(signInput(host.keys, this.#chat, effect.input).proof);
        // Lost or refused, it is said again later.
        return void host.bus
          .publish({ type: 'warren.chat.v1.Input', key: `in.${this.#chat}`, body }, this.#connection.signal)
          .catch(() => {});
      }
      case 'written':
      case 'refused':
        store.remove(effect.id);
        return onOutcome(effect);
      case 'turned-away':
        this.#turnedAway = effect.reason;
        return;
    }
  }

  get #now(): number {
    return this.#needs.host.clock();
  }
}
