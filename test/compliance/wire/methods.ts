/**
 * The methods of AMQP 0-9-1 with RabbitMQ's extensions as data: class and method id, then the arguments in order. Source:
 * amqp0-9-1.extended.xml. Written here again, apart from the broker's own codec, so that one mistake is not on both sides.
 */
const signatures = {
  'connection.start': '10.10 octet:major octet:minor table:serverProperties longstr:mechanisms longstr:locales',
  'connection.start-ok': '10.11 table:clientProperties shortstr:mechanism longstr:response shortstr:locale',
  'connection.secure': '10.20 longstr:challenge',
  'connection.secure-ok': '10.21 longstr:response',
  'connection.tune': '10.30 short:channelMax long:frameMax short:heartbeat',
  'connection.tune-ok': '10.31 short:channelMax long:frameMax short:heartbeat',
  'connection.open': '10.40 shortstr:vhost shortstr:capabilities bit:insist',
  'connection.open-ok': '10.41 shortstr:knownHosts',
  'connection.close': '10.50 short:code shortstr:text short:classId short:methodId',
  'connection.close-ok': '10.51',
  'connection.blocked': '10.60 shortstr:reason',
  'connection.unblocked': '10.61',
  'connection.update-secret': '10.70 longstr:secret shortstr:reason',
  'connection.update-secret-ok': '10.71',
  'channel.open': '20.10 shortstr:outOfBand',
  'channel.open-ok': '20.11 longstr:channelId',
  'channel.flow': '20.20 bit:active',
  'channel.flow-ok': '20.21 bit:active',
  'channel.close': '20.40 short:code shortstr:text short:classId short:methodId',
  'channel.close-ok': '20.41',
  'exchange.declare':
    '40.10 short:ticket shortstr:exchange shortstr:type bit:passive bit:durable bit:autoDelete bit:internal bit:nowait table:arguments',
  'exchange.declare-ok': '40.11',
  'exchange.delete': '40.20 short:ticket shortstr:exchange bit:ifUnused bit:nowait',
  'exchange.delete-ok': '40.21',
  'exchange.bind':
    '40.30 short:ticket shortstr:destination shortstr:source shortstr:routingKey bit:nowait table:arguments',
  'exchange.bind-ok': '40.31',
  'exchange.unbind':
    '40.40 short:ticket shortstr:destination shortstr:source shortstr:routingKey bit:nowait table:arguments',
  'exchange.unbind-ok': '40.51',
  'queue.declare':
    '50.10 short:ticket shortstr:queue bit:passive bit:durable bit:exclusive bit:autoDelete bit:nowait table:arguments',
  'queue.declare-ok': '50.11 shortstr:queue long:messageCount long:consumerCount',
  'queue.bind': '50.20 short:ticket shortstr:queue shortstr:exchange shortstr:routingKey bit:nowait table:arguments',
  'queue.bind-ok': '50.21',
  'queue.purge': '50.30 short:ticket shortstr:queue bit:nowait',
  'queue.purge-ok': '50.31 long:messageCount',
  'queue.delete': '50.40 short:ticket shortstr:queue bit:ifUnused bit:ifEmpty bit:nowait',
  'queue.delete-ok': '50.41 long:messageCount',
  'queue.unbind': '50.50 short:ticket shortstr:queue shortstr:exchange shortstr:routingKey table:arguments',
  'queue.unbind-ok': '50.51',
  'basic.qos': '60.10 long:prefetchSize short:prefetchCount bit:global',
  'basic.qos-ok': '60.11',
  'basic.consume':
    '60.20 short:ticket shortstr:queue shortstr:consumerTag bit:noLocal bit:noAck bit:exclusive bit:nowait table:arguments',
  'basic.consume-ok': '60.21 shortstr:consumerTag',
  'basic.cancel': '60.30 shortstr:consumerTag bit:nowait',
  'basic.cancel-ok': '60.31 shortstr:consumerTag',
  'basic.publish': '60.40 short:ticket shortstr:exchange shortstr:routingKey bit:mandatory bit:immediate',
  'basic.return': '60.50 short:code shortstr:text shortstr:exchange shortstr:routingKey',
  'basic.deliver':
    '60.60 shortstr:consumerTag longlong:deliveryTag bit:redelivered shortstr:exchange shortstr:routingKey',
  'basic.get': '60.70 short:ticket shortstr:queue bit:noAck',
  'basic.get-ok': '60.71 longlong:deliveryTag bit:redelivered shortstr:exchange shortstr:routingKey long:messageCount',
  'basic.get-empty': '60.72 shortstr:clusterId',
  'basic.ack': '60.80 longlong:deliveryTag bit:multiple',
  'basic.reject': '60.90 longlong:deliveryTag bit:requeue',
  'basic.recover-async': '60.100 bit:requeue',
  'basic.recover': '60.110 bit:requeue',
  'basic.recover-ok': '60.111',
  'basic.nack': '60.120 longlong:deliveryTag bit:multiple bit:requeue',
  'confirm.select': '85.10 bit:nowait',
  'confirm.select-ok': '85.11',
  'tx.select': '90.10',
  'tx.select-ok': '90.11',
  'tx.commit': '90.20',
  'tx.commit-ok': '90.21',
  'tx.rollback': '90.30',
  'tx.rollback-ok': '90.31',
} as const;

export type MethodName = keyof typeof signatures;

export type FieldKind = 'bit' | 'octet' | 'short' | 'long' | 'longlong' | 'shortstr' | 'longstr' | 'table';

export interface Method {
  readonly name: MethodName;
  readonly classId: number;
  readonly methodId: number;
  readonly fields: readonly { readonly kind: FieldKind; readonly name: string }[];
}

export function methodNamed(name: MethodName): Method {
  const [ids = '', ...fields] = signatures[name].split(' ');
  const [classId = 0, methodId = 0] = ids.split('.').map(Number);
  return {
    name,
    classId,
    methodId,
    fields: fields.map(field => {
      const [kind = '', fieldName = ''] = field.split(':');
      return { kind: kind as FieldKind, name: fieldName };
    }),
  };
}

/** `undefined` for ids that no method has: a close says 0, 0 when no method is to blame. */
export function methodNumbered(classId: number, methodId: number): Method | undefined {
  const prefix = `${classId}.${methodId}`;
  for (const name of Object.keys(signatures) as MethodName[]) {
    const signature: string = signatures[name];
    if (signature === prefix || signature.startsWith(`${prefix} `)) return methodNamed(name);
  }
  return undefined;
}
