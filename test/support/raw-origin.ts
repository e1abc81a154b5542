import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { parseRequests, type StrictRequest } from './strict-http.ts';

/**
 * An origin that speaks octets: reads what it gets as the strictest of readers, and answers each whole request with what `answer` says,
 * verbatim; `undefined`: says its last words and closes.
 */
export class RawOrigin implements AsyncDisposable {
  answer: (request: StrictRequest) => string | undefined = () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
  lastWords = '';
  /** Says its answers octet by octet. */
  isDripping = false;
  /** What an answer waits for. */
  delay: (() => Promise<void>) | undefined;
  /** Resolves when a connection ends that waits for its answer. */
  readonly broken: Promise<void>;
  #onBroken: () => void = () => {};
  /** In order of arrival, of all connections. */
  readonly requests: StrictRequest[] = [];
  /** What was no HTTP to a strict reader, or ended within a request. */
  readonly complaints: string[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer({ noDelay: true }, socket => this.#serve(socket));

  constructor() {
    this.broken = new Promise(resolve => {
      this.#onBroken = resolve;
    });
  }

  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    let text = '';
    socket.on('data', async octets => {
      text += octets.toString('latin1');
      try {
        const { requests, rest } = parseRequests(text);
        text = rest;
        for (const request of requests) {
          this.requests.push(request);
          if (this.delay) {
            socket.once('close', this.#onBroken);
            await this.delay();
            socket.off('close', this.#onBroken);
          }
          const answer = this.answer(request);
          if (answer === undefined) socket.end(Buffer.from(this.lastWords, 'latin1'));
          else if (this.isDripping) {
            for (const octet of Buffer.from(answer, 'latin1')) {
              socket.write(Buffer.of(octet));
              await new Promise(resolve => setImmediate(resolve));
            }
          } else socket.write(Buffer.from(answer, 'latin1'));
        }
      } catch (error) {
        this.complaints.push(String(error));
        socket.destroy();
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (text !== '') this.complaints.push(`ended within ${JSON.stringify(text)}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise(resolve => this.#server.close(resolve));
  }
}
