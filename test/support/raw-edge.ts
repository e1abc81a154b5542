import { once } from 'node:events';
import type { Server } from 'node:http';
import { Server as TlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { PassThrough } from 'node:stream';
import type { Head } from '../../proto/gen/warren/proxy/v1/job.ts';
import type { Route } from '../../services/config/config.ts';
import { CacheStore } from '../../services/proxy/cache-store.ts';
import type { Certificate } from '../../services/proxy/certificate.ts';
import type { Dispatcher, JobHandle, JobListener, JobRequest } from '../../services/proxy/dispatcher.ts';
import { createEdge, type EdgeOptions } from '../../services/proxy/edge.ts';
import { BodyBudget } from '../../services/proxy/request-body.ts';
import { RouteTable } from '../../services/proxy/routes.ts';
import { Cancellation, Upstream, type UpstreamListener } from '../../services/worker/upstream.ts';
import { RawOrigin } from './raw-origin.ts';

export const rawEdgeOptions: EdgeOptions = {
  headerLimit: 8 * 1024,
  bodyLimit: 64 * 1024,
  maxConnections: 1_000,
  queueTimeoutMs: 5_000,
  idleTimeoutMs: 60_000,
  headerTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000,
};

export const wholeSite: Route = {
  name: 'web',
  host: '*',
  path: '/',
  service: 'web',
  ttlSeconds: undefined,
  idempotencyKey: false,
  deadlineMs: 30_000,
};

const nothing = Buffer.alloc(0);
const budgetBytes = 16 * 1024 * 1024;

/** The proxy's edge with a worker's upstream behind it, and that one's origin: all of the way that HTTP takes, without a broker. */
export class RawEdge implements AsyncDisposable {
  readonly origin = new RawOrigin();
  readonly #budget = new BodyBudget(budgetBytes);
  /** Requests that Node's parser saw. */
  parsed = 0;
  #edge: Server | undefined;
  #upstream: Upstream | undefined;

  async listen(some: Partial<EdgeOptions> = {}, routes: readonly Partial<Route>[] = [{}]): Promise<this> {
    await this.origin.listen();
    const upstream = new Upstream(this.origin.url, {
      connections: 8,
      connectTimeoutMs: 2_000,
    });
    this.#upstream = upstream;
    const dispatcher = {
      canTake: () => true,
      dispatch(request: JobRequest, listener: JobListener): JobHandle {
        const control = new Cancellation();
        const part = { job: '', attempt: '', index: 0, last: false, size: 0, head: undefined, failure: undefined };
        const body = request.streamed ? new PassThrough() : request.body;
        const chunks: Buffer[] = [];
        let head: Head | undefined;
        const collect: UpstreamListener = {
          informed: (status, fields) =>
            listener.part({ ...part, body: nothing, head: { status, fields, upstream: '' } }),
          head: (status, fields) => {
            head = { status, fields, upstream: '' };
          },
          data: chunk => chunks.push(chunk) > 0,
        };
        upstream.call({ ...request, body }, collect, control).then(({ kind, reason }) => {
          if (kind === 'complete') listener.part({ ...part, last: true, head, body: Buffer.concat(chunks) });
          else if (kind !== 'aborted') {
            const failure = { status: kind === 'invalid' ? 400 : 502, reason, upstream: '' };
            listener.part({ ...part, last: true, failure, body: nothing });
          }
        });
        if (request.streamed) setImmediate(() => listener.credit(Number.MAX_SAFE_INTEGER));
        return {
          abandon: () => control.abort(),
          send: (piece, last) => {
            if (body instanceof PassThrough) last ? body.end(piece) : body.write(piece);
          },
          credit: () => {},
        };
      },
    };
    this.#edge = createEdge(
      {
        routes: new RouteTable(routes.map(each => ({ ...wholeSite, ...each }))),
        cache: new CacheStore(1024 * 1024),
        dispatcher: dispatcher as unknown as Dispatcher,
        budget: this.#budget,
        isTrusted: () => false,
        clock: () => performance.now(),
        onRequest: () => {},
      },
      { ...rawEdgeOptions, ...some },
    ).server;
    for (const event of ['request', 'checkContinue', 'checkExpectation']) this.#edge.on(event, () => this.parsed++);
    this.#edge.listen(0, '127.0.0.1');
    await once(this.#edge, 'listening');
    return this;
  }

  get port(): number {
    const address = this.#edge?.address() as AddressInfo | undefined;
    return address?.port ?? 0;
  }

  /** No request holds any of the room for bodies. */
  isBudgetWhole(): boolean {
    if (!this.#budget.take(budgetBytes)) return false;
    this.#budget.give(budgetBytes);
    return true;
  }

  /** As a new pair of certificate and key does, for connections to come. */
  renew(certificate: Certificate): void {
    if (this.#edge instanceof TlsServer) this.#edge.setSecureContext(certificate);
  }

  connections(): Promise<number> {
    return new Promise(resolve => this.#edge?.getConnections((_error, count) => resolve(count)));
  }

  /** Sends octets (latin-1), in several writes if there are several, and gives all that comes until the proxy closes. */
  exchange(...texts: readonly string[]): Promise<string> {
    return this.#talk(texts, false);
  }

  /** The same, and ends its own side at once. */
  finish(...texts: readonly string[]): Promise<string> {
    return this.#talk(texts, true);
  }

  async #talk(texts: readonly string[], isEnding: boolean): Promise<string> {
    const socket = connect({ port: this.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    let received = '';
    socket.on('data', octets => {
      received += octets.toString('latin1');
    });
    socket.on('error', () => {});
    const closed = new Promise<void>(resolve => socket.once('end', resolve).once('close', () => resolve()));
    for (const text of texts) {
      await new Promise(resolve => socket.write(Buffer.from(text, 'latin1'), resolve));
      await new Promise(resolve => setImmediate(resolve));
    }
    if (isEnding) socket.end();
    await closed;
    socket.destroy();
    return received;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#edge?.closeAllConnections();
    await new Promise(resolve => this.#edge?.close(resolve));
    await this.#upstream?.close();
    await this.origin[Symbol.asyncDispose]();
  }
}
