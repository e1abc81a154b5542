/** How an argument is carried (§4.2). Consecutive bits share an octet, the first in its lowest bit (§4.2.5.2). */
export type FieldKind = 'octet' | 'short' | 'long' | 'longlong' | 'shortstr' | 'longstr' | 'bit' | 'table';

/** Class, method, who may send it, arguments in their order; `reserved…` is on the wire and means nothing. */
type Row = readonly [classId: number, methodId: number, from: Sender, arguments: Readonly<Record<string, FieldKind>>];

export type Sender = 'client' | 'server' | 'both';

/**
 * The methods of AMQP 0-9-1 (§1.4 to §1.9 of its reference) with RabbitMQ's extensions: basic.nack, the class confirm,
 * exchange.bind and unbind, connection.blocked, unblocked and update-secret, basic.cancel from the server,
 * exchange.declare's auto-delete and internal, basic.publish's immediate kept only to be refused. A method that is
 * answered has an answer of its name and `-ok`.
 */
export const methodTable = {
  'connection.start': [
    10,
    10,
    'server',
    {
      versionMajor: 'octet',
      versionMinor: 'octet',
      serverProperties: 'table',
      mechanisms: 'longstr',
      locales: 'longstr',
    },
  ],
  'connection.start-ok': [
    10,
    11,
    'client',
    { clientProperties: 'table', mechanism: 'shortstr', response: 'longstr', locale: 'shortstr' },
  ],
  'connection.secure': [10, 20, 'server', { challenge: 'longstr' }],
  'connection.secure-ok': [10, 21, 'client', { response: 'longstr' }],
  'connection.tune': [10, 30, 'server', { channelMax: 'short', frameMax: 'long', heartbeat: 'short' }],
  'connection.tune-ok': [10, 31, 'client', { channelMax: 'short', frameMax: 'long', heartbeat: 'short' }],
  'connection.open': [10, 40, 'client', { virtualHost: 'shortstr', reserved1: 'shortstr', reserved2: 'bit' }],
  'connection.open-ok': [10, 41, 'server', { reserved1: 'shortstr' }],
  'connection.close': [
    10,
    50,
    'both',
    { replyCode: 'short', replyText: 'shortstr', classId: 'short', methodId: 'short' },
  ],
  'connection.close-ok': [10, 51, 'both', {}],
  'connection.blocked': [10, 60, 'server', { reason: 'shortstr' }],
  'connection.unblocked': [10, 61, 'server', {}],
  'connection.update-secret': [10, 70, 'client', { newSecret: 'longstr', reason: 'shortstr' }],
  'connection.update-secret-ok': [10, 71, 'server', {}],

  'channel.open': [20, 10, 'client', { reserved1: 'shortstr' }],
  'channel.open-ok': [20, 11, 'server', { reserved1: 'longstr' }],
  'channel.flow': [20, 20, 'both', { active: 'bit' }],
  'channel.flow-ok': [20, 21, 'both', { active: 'bit' }],
  'channel.close': [20, 40, 'both', { replyCode: 'short', replyText: 'shortstr', classId: 'short', methodId: 'short' }],
  'channel.close-ok': [20, 41, 'both', {}],

  'access.request': [
    30,
    10,
    'client',
    { realm: 'shortstr', exclusive: 'bit', passive: 'bit', active: 'bit', write: 'bit', read: 'bit' },
  ],
  'access.request-ok': [30, 11, 'server', { ticket: 'short' }],

  'exchange.declare': [
    40,
    10,
    'client',
    {
      reserved1: 'short',
      exchange: 'shortstr',
      type: 'shortstr',
      passive: 'bit',
      durable: 'bit',
      autoDelete: 'bit',
      internal: 'bit',
      nowait: 'bit',
      arguments: 'table',
    },
  ],
  'exchange.declare-ok': [40, 11, 'server', {}],
  'exchange.delete': [40, 20, 'client', { reserved1: 'short', exchange: 'shortstr', ifUnused: 'bit', nowait: 'bit' }],
  'exchange.delete-ok': [40, 21, 'server', {}],
  'exchange.bind': [
    40,
    30,
    'client',
    {
      reserved1: 'short',
      destination: 'shortstr',
      source: 'shortstr',
      routingKey: 'shortstr',
      nowait: 'bit',
      arguments: 'table',
    },
  ],
  'exchange.bind-ok': [40, 31, 'server', {}],
  'exchange.unbind': [
    40,
    40,
    'client',
    {
      reserved1: 'short',
      destination: 'shortstr',
      source: 'shortstr',
      routingKey: 'shortstr',
      nowait: 'bit',
      arguments: 'table',
    },
  ],
  // 51 and not 41: a slip in RabbitMQ's extension that clients have learnt.
  'exchange.unbind-ok': [40, 51, 'server', {}],

  'queue.declare': [
    50,
    10,
    'client',
    {
      reserved1: 'short',
      queue: 'shortstr',
      passive: 'bit',
      durable: 'bit',
      exclusive: 'bit',
      autoDelete: 'bit',
      nowait: 'bit',
      arguments: 'table',
    },
  ],
  'queue.declare-ok': [50, 11, 'server', { queue: 'shortstr', messageCount: 'long', consumerCount: 'long' }],
  'queue.bind': [
    50,
    20,
    'client',
    {
      reserved1: 'short',
      queue: 'shortstr',
      exchange: 'shortstr',
      routingKey: 'shortstr',
      nowait: 'bit',
      arguments: 'table',
    },
  ],
  'queue.bind-ok': [50, 21, 'server', {}],
  'queue.purge': [50, 30, 'client', { reserved1: 'short', queue: 'shortstr', nowait: 'bit' }],
  'queue.purge-ok': [50, 31, 'server', { messageCount: 'long' }],
  'queue.delete': [
    50,
    40,
    'client',
    { reserved1: 'short', queue: 'shortstr', ifUnused: 'bit', ifEmpty: 'bit', nowait: 'bit' },
  ],
  'queue.delete-ok': [50, 41, 'server', { messageCount: 'long' }],
  'queue.unbind': [
    50,
    50,
    'client',
    { reserved1: 'short', queue: 'shortstr', exchange: 'shortstr', routingKey: 'shortstr', arguments: 'table' },
  ],
  'queue.unbind-ok': [50, 51, 'server', {}],

  'basic.qos': [60, 10, 'client', { prefetchSize: 'long', prefetchCount: 'short', global: 'bit' }],
  'basic.qos-ok': [60, 11, 'server', {}],
  'basic.consume': [
    60,
    20,
    'client',
    {
      reserved1: 'short',
      queue: 'shortstr',
      consumerTag: 'shortstr',
      noLocal: 'bit',
      noAck: 'bit',
      exclusive: 'bit',
      nowait: 'bit',
      arguments: 'table',
    },
  ],
  'basic.consume-ok': [60, 21, 'server', { consumerTag: 'shortstr' }],
  'basic.cancel': [60, 30, 'both', { consumerTag: 'shortstr', nowait: 'bit' }],
  'basic.cancel-ok': [60, 31, 'server', { consumerTag: 'shortstr' }],
  'basic.publish': [
    60,
    40,
    'client',
    { reserved1: 'short', exchange: 'shortstr', routingKey: 'shortstr', mandatory: 'bit', immediate: 'bit' },
  ],
  'basic.return': [
    60,
    50,
    'server',
    { replyCode: 'short', replyText: 'shortstr', exchange: 'shortstr', routingKey: 'shortstr' },
  ],
  'basic.deliver': [
    60,
    60,
    'server',
    {
      consumerTag: 'shortstr',
      deliveryTag: 'longlong',
      redelivered: 'bit',
      exchange: 'shortstr',
      routingKey: 'shortstr',
    },
  ],
  'basic.get': [60, 70, 'client', { reserved1: 'short', queue: 'shortstr', noAck: 'bit' }],
  'basic.get-ok': [
    60,
    71,
    'server',
    {
      deliveryTag: 'longlong',
      redelivered: 'bit',
      exchange: 'shortstr',
      routingKey: 'shortstr',
      messageCount: 'long',
    },
  ],
  'basic.get-empty': [60, 72, 'server', { reserved1: 'shortstr' }],
  'basic.ack': [60, 80, 'both', { deliveryTag: 'longlong', multiple: 'bit' }],
  'basic.reject': [60, 90, 'client', { deliveryTag: 'longlong', requeue: 'bit' }],
  'basic.recover-async': [60, 100, 'client', { requeue: 'bit' }],
  'basic.recover': [60, 110, 'client', { requeue: 'bit' }],
  'basic.recover-ok': [60, 111, 'server', {}],
  'basic.nack': [60, 120, 'both', { deliveryTag: 'longlong', multiple: 'bit', requeue: 'bit' }],

  'confirm.select': [85, 10, 'client', { nowait: 'bit' }],
  'confirm.select-ok': [85, 11, 'server', {}],

  'tx.select': [90, 10, 'client', {}],
  'tx.select-ok': [90, 11, 'server', {}],
  'tx.commit': [90, 20, 'client', {}],
  'tx.commit-ok': [90, 21, 'server', {}],
  'tx.rollback': [90, 30, 'client', {}],
  'tx.rollback-ok': [90, 31, 'server', {}],
} as const satisfies Readonly<Record<string, Row>>;
