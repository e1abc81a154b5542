import type { ReceivedClientMethod } from '../amqp/decode-method.ts';
import { encodeTable } from '../amqp/encode-table.ts';
import { AmqpError } from '../amqp/error.ts';
import type { FieldTable } from '../amqp/field-value.ts';
import type { Method } from '../amqp/method-spec.ts';
import type { BindingEnds, Broker } from '../core/broker.ts';
import { checkNotDefault } from '../core/exchanges.ts';
import type { Rights } from '../core/permissions.ts';
import { MessageQueue } from '../core/queue.ts';
import { readArguments } from '../core/queue-arguments.ts';
import { notFound } from '../core/queues.ts';
import { type DirectReplies, replyAddress } from './direct-replies.ts';

type Received<Name extends ReceivedClientMethod['name']> = Extract<ReceivedClientMethod, { name: Name }>;

/** What declaring needs of its channel. */
export interface DeclarationHost {
  readonly broker: Broker;
  readonly replies: DirectReplies;
  readonly rights: Rights;
  /** Identity of the connection, for exclusive queues. */
  readonly owner: object;
  send(method: Method): void;
  /** That many random characters as RabbitMQ's names of queues have: 22. */
  randomName(): string;
}

/** The classes exchange and queue (§1.6, §1.7) of one channel: makes things, ties them together, takes them away. */
export class Declarations {
  readonly #host: DeclarationHost;
  #lastQueue = '';

  constructor(host: DeclarationHost) {
    this.#host = host;
  }

  /** '' stands for the queue last declared on this channel. @throws AmqpError 404 */
  queueName(given: string): string {
    if (given !== '') return given;
    if (this.#lastQueue === '') throw new AmqpError(404, 'no previously declared queue');
    return this.#lastQueue;
  }

  /** @throws AmqpError 403, 404, 406, 540 */
  declareExchange(method: Received<'exchange.declare'>): void {
    const { type, passive, nowait } = method;
    const exchange = stripped(method.exchange);
    const { broker, rights, send } = this.#host;
    checkNotDefault(exchange);
    if (passive) broker.exchange(exchange);
    else {
      rights.check('configure', 'exchange', exchange);
      if (method.arguments['alternate-exchange'] !== undefined)
        throw new AmqpError(540, 'alternate exchanges are not built');
      broker.declareExchange(exchange, type, method);
    }
    if (!nowait) send({ name: 'exchange.declare-ok' });
  }

  /** @throws AmqpError 403, 406 */
  deleteExchange(method: Received<'exchange.delete'>): void {
    const { broker, rights, send } = this.#host;
    checkNotDefault(method.exchange);
    rights.check('configure', 'exchange', method.exchange);
    broker.deleteExchange(method.exchange, method);
    if (!method.nowait) send({ name: 'exchange.delete-ok' });
  }

  /** @throws AmqpError 403, 404, 405, 406, 540 */
  declareQueue(method: Received<'queue.declare'>): void {
    const { broker, owner, send } = this.#host;
    if (method.queue.startsWith(replyAddress)) return this.#findAddress(method);
    const { passive, nowait } = method;
    const given = stripped(method.queue);
    const queue = passive ? broker.queue(given, owner) : this.#declared(given, method);
    if (passive && queue instanceof MessageQueue) queue.touch();
    this.#lastQueue = queue.name;
    const { messageCount, consumerCount } = queue;
    if (!nowait) send({ name: 'queue.declare-ok', queue: queue.name, messageCount, consumerCount });
  }

  #declared(given: string, method: Received<'queue.declare'>): ReturnType<Broker['declareQueue']> {
    const { broker, rights, owner } = this.#host;
    const { durable, exclusive, autoDelete } = method;
    const args = readArguments(method.arguments);
    const name = given === '' ? this.#newName(args.get('x-queue-type')?.value) : given;
    if (name === given && name.startsWith('amq.'))
      throw new AmqpError(403, `queue name '${name}' contains reserved prefix 'amq.*'`);
    rights.check('configure', 'queue', name);
    const deadLetterExchange = args.get('x-dead-letter-exchange')?.value;
    if (typeof deadLetterExchange === 'string' && !broker.findQueue(name)) {
      rights.check('read', 'queue', name);
      rights.check('write', 'exchange', deadLetterExchange);
    }
    return broker.declareQueue({ name, durable, exclusive, autoDelete, arguments: args }, owner);
  }

  #newName(type: unknown): string {
    if (type === 'quorum' || type === 'stream')
      throw new AmqpError(406, `Cannot declare a server-named queue for type rabbit_${type}_queue`);
    return `amq.gen-${this.#host.randomName()}`;
  }

  /** A replier asks whether whoever asked it is still there. */
  #findAddress({ queue, nowait }: Received<'queue.declare'>): void {
    const { replies, send } = this.#host;
    if (queue !== replyAddress && !replies.has(queue)) throw notFound(queue);
    if (!nowait) send({ name: 'queue.declare-ok', queue, messageCount: 0, consumerCount: 1 });
  }

  /** @throws AmqpError 403, 404, 405, 406 */
  bind(method: Received<'queue.bind'>): void {
    const { broker, owner, send } = this.#host;
    broker.bind(this.#ends(method), owner);
    if (!method.nowait) send({ name: 'queue.bind-ok' });
  }

  /** @throws AmqpError 403, 404, 405 */
  unbind(method: Received<'queue.unbind'>): void {
    const { broker, owner, send } = this.#host;
    broker.unbind(this.#ends(method), owner);
    send({ name: 'queue.unbind-ok' });
  }

  #ends(method: Received<'queue.bind'> | Received<'queue.unbind'>): BindingEnds {
    const { broker, rights } = this.#host;
    const { exchange } = method;
    const queue = this.queueName(method.queue);
    const key = method.queue === '' && method.routingKey === '' ? queue : method.routingKey;
    checkNotDefault(exchange);
    rights.check('write', 'queue', queue);
    rights.check('read', 'exchange', exchange);
    if (broker.findExchange(exchange)?.settings.type === 'topic') rights.checkTopic('read', exchange, key);
    return { queue, exchange, key, args: textOf(method.arguments) };
  }

  /** @throws AmqpError 403, 404, 405, 540 */
  purge(method: Received<'queue.purge'>): void {
    const { broker, rights, owner, send } = this.#host;
    const name = this.queueName(method.queue);
    rights.check('read', 'queue', name);
    const queue = broker.queue(name, owner);
    if (!(queue instanceof MessageQueue))
      throw new AmqpError(540, `queue.purge not supported by stream queues queue '${name}' in vhost '/'`);
    const messageCount = queue.purge();
    if (!method.nowait) send({ name: 'queue.purge-ok', messageCount });
  }

  /** @throws AmqpError 403, 404, 405, 406 */
  deleteQueue(method: Received<'queue.delete'>): void {
    const { broker, rights, owner, send } = this.#host;
    const name = this.queueName(method.queue);
    rights.check('configure', 'queue', name);
    broker.deleteQueue(name, owner, method, messageCount => {
      if (!method.nowait) send({ name: 'queue.delete-ok', messageCount });
    });
  }
}

/** RabbitMQ forgives clients that read names from lines. */
function stripped(name: string): string {
  return name.replaceAll(/[\r\n]/g, '');
}

/** Tells the arguments of a binding from others, whatever their order. */
function textOf(args: FieldTable): string {
  const names = Object.keys(args).sort();
  if (names.length === 0) return '';
  return encodeTable(Object.fromEntries(names.map(name => [name, args[name] ?? null]))).toString('base64');
}
