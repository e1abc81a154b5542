import { AmqpError } from '../amqp/error.ts';
import type { Ledger } from '../store/ledger.ts';
import { type Destination, Exchange, type ExchangeSettings, type ExchangeType } from './exchange.ts';
import { limits } from './limits.ts';

const types: ReadonlySet<string> = new Set<ExchangeType>(['direct', 'fanout', 'topic']);

/** The broker's exchanges: the default one, `amq.direct`, `amq.fanout`, `amq.topic`, and what clients declare. */
export class Exchanges<D extends Destination> {
  readonly #ledger: Ledger;
  readonly #exchanges = new Map<string, Exchange<D>>();
  /** Queue → exchanges, but for the default one, that have bindings to it: there may be very many that have not. */
  readonly #bound = new Map<D, Set<Exchange<D>>>();
  /** Every queue is bound to it by its name. */
  readonly default: Exchange<D>;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
    const predeclared = { durable: true, autoDelete: false, internal: false };
    this.default = this.add({ name: '', type: 'direct', ...predeclared });
    for (const type of ['direct', 'fanout', 'topic'] as const) this.add({ name: `amq.${type}`, type, ...predeclared });
  }

  /** As it was before a restart, say. */
  add(settings: ExchangeSettings): Exchange<D> {
    const exchange = new Exchange<D>(settings);
    this.#exchanges.set(settings.name, exchange);
    return exchange;
  }

  find(name: string): Exchange<D> | undefined {
    return this.#exchanges.get(name);
  }

  /** @throws AmqpError 404 */
  get(name: string): Exchange<D> {
    const found = this.#exchanges.get(name);
    if (!found) throw new AmqpError(404, `no exchange '${name}' in vhost '/'`);
    return found;
  }

  all(): IterableIterator<Exchange<D>> {
    return this.#exchanges.values();
  }

  /** @throws AmqpError 403, 406, 540 for a type that is not built */
  declare(declared: Omit<ExchangeSettings, 'type'> & { readonly type: string }): void {
    const { name, type } = declared;
    checkNotDefault(name);
    if (type === '') throw new AmqpError(406, "invalid exchange type ''");
    if (!types.has(type) && type !== 'headers') throw new AmqpError(406, `unknown exchange type '${type}'`);
    const existing = this.#exchanges.get(name);
    if (existing) return checkEquivalent(existing.settings, declared);
    if (name.startsWith('amq.')) throw new AmqpError(403, `exchange name '${name}' contains reserved prefix 'amq.*'`);
    if (!isBuilt(type)) throw new AmqpError(540, `exchanges of type '${type}' are not built`);
    if (this.#exchanges.size >= limits.exchanges)
      throw new AmqpError(406, `cannot declare exchange '${name}': limit of ${limits.exchanges} is reached`);
    const { settings } = this.add({ ...declared, type });
    if (settings.durable) this.#ledger.putExchange({ ...settings });
  }

  /** One that is not there is as good as deleted. @throws AmqpError 403, 406 */
  delete(name: string, { ifUnused }: { readonly ifUnused: boolean }): void {
    checkNotDefault(name);
    if (name.startsWith('amq.'))
      throw new AmqpError(403, `deletion of system exchange '${name}' in vhost '/' not allowed`);
    const exchange = this.#exchanges.get(name);
    if (!exchange) return;
    if (ifUnused && exchange.isBound) throw new AmqpError(406, `exchange '${name}' in vhost '/' in use`);
    this.#remove(exchange);
  }

  /** @returns whether it is new */
  bind(exchange: Exchange<D>, key: string, queue: D, args: string): boolean {
    if (!exchange.bind(key, queue, args)) return false;
    const bound = this.#bound.get(queue);
    if (bound) bound.add(exchange);
    else this.#bound.set(queue, new Set([exchange]));
    return true;
  }

  /** @returns whether there was one */
  unbind(exchange: Exchange<D>, key: string, queue: D, args: string): boolean {
    if (!exchange.unbind(key, queue, args)) return false;
    if (!exchange.isBoundTo(queue)) this.#unnote(exchange, queue);
    return true;
  }

  /** A queue has gone, and its bindings with it. */
  forget(queue: D): void {
    this.default.forget(queue);
    const bound = this.#bound.get(queue) ?? [];
    this.#bound.delete(queue);
    for (const exchange of bound) {
      exchange.forget(queue);
      this.dropIfUnused(exchange);
    }
  }

  /** An auto-delete exchange goes with its last binding. */
  dropIfUnused(exchange: Exchange<D>): void {
    if (exchange.settings.autoDelete && !exchange.isBound) this.#remove(exchange);
  }

  #remove(exchange: Exchange<D>): void {
    const { name, durable } = exchange.settings;
    this.#exchanges.delete(name);
    for (const queue of exchange.queues()) this.#unnote(exchange, queue);
    if (durable) this.#ledger.deleteExchange(name);
  }

  #unnote(exchange: Exchange<D>, queue: D): void {
    const bound = this.#bound.get(queue);
    bound?.delete(exchange);
    if (bound?.size === 0) this.#bound.delete(queue);
  }
}

/** @throws AmqpError 403 */
export function checkNotDefault(name: string): void {
  if (name === '') throw new AmqpError(403, 'operation not permitted on the default exchange');
}

function isBuilt(type: string): type is ExchangeType {
  return types.has(type);
}

/** @throws AmqpError 406 naming the first thing that differs, as RabbitMQ does */
function checkEquivalent(
  existing: ExchangeSettings,
  declared: Omit<ExchangeSettings, 'type'> & { readonly type: string },
): void {
  for (const [what, field] of [
    ['type', 'type'],
    ['durable', 'durable'],
    ['auto_delete', 'autoDelete'],
    ['internal', 'internal'],
  ] as const) {
    if (existing[field] === declared[field]) continue;
    throw new AmqpError(
      406,
      `inequivalent arg '${what}' for exchange '${existing.name}' in vhost '/': received '${declared[field]}' but current is '${existing[field]}'`,
    );
  }
}
