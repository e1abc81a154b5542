import { METHODS, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { destroyLater } from '../../lib/destroy-later.ts';
import { type Fault, malformed } from './fault.ts';
import type { Head, HeadLimits } from './head-reader.ts';
import { RequestStream } from './request-stream.ts';

export interface GuardOptions {
  /** Octets of a head. */
  readonly headerLimit: number;
  /** For a head to come whole, from its first octet. */
  readonly headerTimeoutMs: number;
  /** May answer a plain request (whole, without a body, on a connection that goes on) at once. @returns whether it has */
  readonly quick: (octets: Buffer, socket: Socket) => boolean;
  /** Answers on a connection on which there is no request to answer, and closes it. */
  readonly refuse: (socket: Socket, fault: Fault | Timeout, isHead: boolean) => void;
}

/** A head that did not come whole in time. */
export interface Timeout {
  readonly status: 408;
  readonly reason: string;
}

/** How long a client may go on sending what nobody will read. */
const lingerMs = 1_000;
/** When we ask whether a client that has sent its end still listens: the first write provokes a reset, the next one meets it. */
const probesMs = [250, 50, 500] as const;

/** Requests of one connection that are read before the first is answered. */
const mostAhead = 100;

const implemented: ReadonlySet<string> = new Set(METHODS);
const guards = new WeakMap<Socket, Guard>();

/** The guard of a connection of a guarded server. */
export function guardOf(socket: Socket): Guard | undefined {
  return guards.get(socket);
}

/**
 * Puts a guard in front of the server's parser on each connection. Whoever listens to `upgrade` releases the connection first.
 * @param event `secureConnection` for TLS
 */
export function guardServer(server: Server, event: 'connection' | 'secureConnection', options: GuardOptions): void {
  const limits: HeadLimits = { head: options.headerLimit, methods: implemented };
  server.on(event, (socket: Socket) => guards.set(socket, new Guard(socket, limits, options)));
  // A client that has sent its end is still answered.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const guard = guards.get(socket);
    if (error.code === 'ECONNRESET' || !socket.writable || !guard) socket.destroy();
    else guard.parserFailed(error);
  });
}

/**
 * Stands between a client's socket and Node's parser: of what the socket brings, that parser gets only requests that are beyond doubt
 * (`RequestStream`), and nothing after the first that is not. Whoever sent that is told so once everything before it has been answered.
 */
export class Guard {
  readonly #socket: Socket;
  readonly #options: GuardOptions;
  readonly #stream: RequestStream;
  readonly #parse: (octets: Buffer) => void;
  #timer: NodeJS.Timeout | undefined;
  #probe: NodeJS.Timeout | undefined;
  #isReleased = false;
  #isLast = false;
  #isPlain = false;
  #expectsHit = false;
  /** Not known to be finished, in order; the first is the one that the socket is being written. */
  readonly #responses: ServerResponse[] = [];
  #areSafe = true;
  #onBrokenBody: ((fault: Fault) => void) | undefined;

  constructor(socket: Socket, limits: HeadLimits, options: GuardOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#stream = new RequestStream(
      {
        head: head => this.#head(head),
        pass: octets => {
          if (!this.#mayBeQuick() || !options.quick(octets, socket)) {
            this.#expectsHit = false;
            this.#parse(octets);
          }
          return !this.#isReleased && !socket.isPaused();
        },
        refuse: (fault, isInBody) => this.#fault(fault, isInBody),
      },
      limits,
    );
    // Node's parser listens here. Taking its place ends its short cut past JavaScript, which costs some 3 µs a request (docs/http.md).
    const [parse] = socket.listeners('data') as ((octets: Buffer) => void)[];
    if (!parse) throw new Error('nobody parses this connection');
    this.#parse = octets => parse.call(socket, octets);
    socket.removeListener('data', parse);
    socket.on('data', this.#onData);
    socket.prependListener('end', this.#onEnd);
    socket.once('close', () => {
      clearTimeout(this.#timer);
      clearTimeout(this.#probe);
    });
  }

  /** The request at hand is the last one that is read from this connection. */
  get isLast(): boolean {
    return this.#isLast;
  }

  /** Every request before this one has been answered. */
  get isAnswered(): boolean {
    return this.#unfinished().length === 0;
  }

  /**
   * For each request, when it comes. @param onBrokenBody the rest of its body cannot be read
   * @returns the response to wait for before this one is begun: "A server MAY process a sequence of pipelined requests in parallel if they
   * all have safe methods" (RFC 9112 §9.3.2)
   */
  began(response: ServerResponse, isSafe: boolean, onBrokenBody: (fault: Fault) => void): ServerResponse | undefined {
    this.#onBrokenBody = onBrokenBody;
    const responses = this.#unfinished();
    if (responses.length === 0) this.#areSafe = true;
    this.#areSafe &&= isSafe;
    const before = this.#areSafe ? undefined : responses.at(-1);
    responses.push(response);
    if (responses.length >= mostAhead && !this.#socket.isPaused()) {
      this.#socket.pause();
      response.once('close', () => this.#socket.resume());
    }
    return before;
  }

  /** The request at hand was answered from the cache: the next one may be as well. */
  expectHit(): void {
    this.#expectsHit = true;
  }

  /** Not the first of its connection, so that Node's clock knows it to be in use; and not before another's answer. */
  #mayBeQuick(): boolean {
    return this.#expectsHit && this.#isPlain && this.#unfinished().length === 0;
  }

  #unfinished(): ServerResponse[] {
    while (this.#responses[0]?.writableFinished || this.#responses[0]?.destroyed) this.#responses.shift();
    return this.#responses;
  }

  /**
   * Interprets nothing more of what comes. The connection closes in stages: the response and our end go out, and what is still on its way
   * is read and dropped for a moment, or a reset would take the response with it (RFC 9112 §9.6).
   */
  leave(): void {
    this.#stream.end();
    closeInStages(this.#socket);
  }

  /** From now on the octets are another protocol's. */
  release(): void {
    this.#isReleased = true;
    clearTimeout(this.#timer);
    this.#socket.off('data', this.#onData).off('end', this.#onEnd);
  }

  /** Answers, when all before it has been answered, and closes. */
  refuse(fault: Fault | Timeout): void {
    this.#stream.end();
    clearTimeout(this.#timer);
    const refuse = (): void => {
      if (this.#socket.writable) this.#options.refuse(this.#socket, fault, this.#stream.isHead);
      else this.#socket.destroy();
    };
    const before = this.#unfinished().at(-1);
    if (before) before.once('close', refuse);
    else refuse();
  }

  /** Node's parser gave up, or its server's clock. */
  parserFailed({ code }: NodeJS.ErrnoException): void {
    if (this.#stream.isOver) return;
    switch (code) {
      case 'ERR_HTTP_REQUEST_TIMEOUT':
        // Nothing came at all: a client that connected ahead of its time would take a 408 for the answer to its first request.
        if (!this.#stream.isWithinHead) this.#socket.destroy();
        else this.refuse({ status: 408, reason: 'the request took too long to arrive' });
        return;
      default:
        this.refuse(malformed('malformed request'));
    }
  }

  readonly #onData = (octets: Buffer): void => {
    if (this.#stream.isOver) return;
    const rest = this.#stream.write(octets);
    if (rest !== undefined) {
      if (rest < octets.length) this.#socket.unshift(octets.subarray(rest));
      return;
    }
    if (this.#stream.isWithinHead) {
      this.#timer ??= setTimeout(
        () => this.refuse({ status: 408, reason: 'the request took too long to arrive' }),
        this.#options.headerTimeoutMs,
      );
    } else if (this.#timer) this.#stopTimer();
  };

  /**
   * The client has sent its end. It may still listen (RFC 9112 §9.6, TCP's half-close), or have gone: TCP says so only to who writes. So
   * an answer that takes its time is announced by an interim one, which every client must be able to skip (RFC 9110 §15.2).
   */
  readonly #onEnd = (): void => {
    if (this.#stream.isWithinHead) this.refuse(malformed('the connection ended within a request'));
    else if (this.#stream.isWithinBody) {
      this.#stream.end();
      this.#onBrokenBody?.(malformed('the connection ended within the body'));
    }
    this.#probeLater(0);
  };

  #probeLater(count: number): void {
    if (this.#socket.destroyed) return;
    this.#probe = setTimeout(() => {
      const [response] = this.#unfinished();
      if (!response || response.headersSent || response.req.httpVersion === '1.0') return;
      response.writeProcessing();
      this.#probeLater(Math.min(count + 1, probesMs.length - 1));
    }, probesMs[count]);
  }

  #head(head: Head): void {
    this.#isLast = head.isLast;
    this.#isPlain = head.framing === 0 && !head.isLast && !head.isUpgrade && head.edits.length === 0;
    if (head.isLast) closeInStages(this.#socket);
    if (this.#timer) this.#stopTimer();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #fault(fault: Fault, isInBody: boolean): void {
    if (isInBody) this.#onBrokenBody?.(fault);
    else this.refuse(fault);
  }
}

/** What Node does with a connection after its last response, but without throwing the response away. */
function closeInStages(socket: Socket): void {
  socket.destroySoon = () => {
    if (socket.destroyed) return;
    socket.end();
    socket.resume();
    destroyLater(socket, lingerMs);
  };
}
