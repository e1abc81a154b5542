/**
 * What RabbitMQ's own encoder (rabbit_framing_amqp_0_9_1 of 3.10.8) makes of every method, class and method number in
 * front. Reserved arguments are empty, and the K-th argument of a method, counted from 1, has the value `text` + K where
 * it is text (its name there, in snake_case), 1000 + K where it has two octets, 100000 + K where it has four,
 * 3 · 2^32 + 7 where it has eight, true where it is a bit and K is odd, and the table {k: 'v'}.
 */
export const methodVectors: readonly (readonly [name: string, hasContent: boolean, hex: string])[] = [
  [
    'connection.start',
    false,
    '000a000a000900000008016b5300000001760000000b6d656368616e69736d7334000000086c6f63616c657335',
  ],
  [
    'connection.start-ok',
    false,
    '000a000b00000008016b5300000001760a6d656368616e69736d3200000009726573706f6e736533076c6f63616c6534',
  ],
  ['connection.secure', false, '000a00140000000a6368616c6c656e676531'],
  ['connection.secure-ok', false, '000a001500000009726573706f6e736531'],
  ['connection.tune', false, '000a001e03e9000186a203eb'],
  ['connection.tune-ok', false, '000a001f03e9000186a203eb'],
  ['connection.open', false, '000a00280d7669727475616c5f686f7374310000'],
  ['connection.open-ok', false, '000a002900'],
  ['connection.close', false, '000a003203e90b7265706c795f746578743203eb03ec'],
  ['connection.close-ok', false, '000a0033'],
  ['connection.blocked', false, '000a003c07726561736f6e31'],
  ['connection.unblocked', false, '000a003d'],
  ['connection.update-secret', false, '000a00460000000b6e65775f7365637265743107726561736f6e32'],
  ['connection.update-secret-ok', false, '000a0047'],
  ['channel.open', false, '0014000a00'],
  ['channel.open-ok', false, '0014000b00000000'],
  ['channel.flow', false, '0014001401'],
  ['channel.flow-ok', false, '0014001501'],
  ['channel.close', false, '0014002803e90b7265706c795f746578743203eb03ec'],
  ['channel.close-ok', false, '00140029'],
  ['access.request', false, '001e000a067265616c6d310a'],
  ['access.request-ok', false, '001e000b0000'],
  ['exchange.declare', false, '0028000a00000965786368616e6765320574797065330a00000008016b530000000176'],
  ['exchange.declare-ok', false, '0028000b'],
  ['exchange.delete', false, '0028001400000965786368616e67653201'],
  ['exchange.delete-ok', false, '00280015'],
  [
    'exchange.bind',
    false,
    '0028001e00000c64657374696e6174696f6e3207736f75726365330c726f7574696e675f6b6579340100000008016b530000000176',
  ],
  ['exchange.bind-ok', false, '0028001f'],
  [
    'exchange.unbind',
    false,
    '0028002800000c64657374696e6174696f6e3207736f75726365330c726f7574696e675f6b6579340100000008016b530000000176',
  ],
  ['exchange.unbind-ok', false, '00280033'],
  ['queue.declare', false, '0032000a0000067175657565321500000008016b530000000176'],
  ['queue.declare-ok', false, '0032000b06717565756531000186a2000186a3'],
  [
    'queue.bind',
    false,
    '003200140000067175657565320965786368616e6765330c726f7574696e675f6b6579340100000008016b530000000176',
  ],
  ['queue.bind-ok', false, '00320015'],
  ['queue.purge', false, '0032001e00000671756575653201'],
  ['queue.purge-ok', false, '0032001f000186a1'],
  ['queue.delete', false, '0032002800000671756575653205'],
  ['queue.delete-ok', false, '00320029000186a1'],
  [
    'queue.unbind',
    false,
    '003200320000067175657565320965786368616e6765330c726f7574696e675f6b65793400000008016b530000000176',
  ],
  ['queue.unbind-ok', false, '00320033'],
  ['basic.qos', false, '003c000a000186a103ea01'],
  ['basic.qos-ok', false, '003c000b'],
  ['basic.consume', false, '003c00140000067175657565320d636f6e73756d65725f746167330a00000008016b530000000176'],
  ['basic.consume-ok', false, '003c00150d636f6e73756d65725f74616731'],
  ['basic.cancel', false, '003c001e0d636f6e73756d65725f7461673100'],
  ['basic.cancel-ok', false, '003c001f0d636f6e73756d65725f74616731'],
  ['basic.publish', true, '003c002800000965786368616e6765320c726f7574696e675f6b65793302'],
  ['basic.return', true, '003c003203e90b7265706c795f74657874320965786368616e6765330c726f7574696e675f6b657934'],
  [
    'basic.deliver',
    true,
    '003c003c0d636f6e73756d65725f746167310000000300000007010965786368616e6765340c726f7574696e675f6b657935',
  ],
  ['basic.get', false, '003c004600000671756575653201'],
  ['basic.get-ok', true, '003c00470000000300000007000965786368616e6765330c726f7574696e675f6b657934000186a5'],
  ['basic.get-empty', false, '003c004800'],
  ['basic.ack', false, '003c0050000000030000000700'],
  ['basic.reject', false, '003c005a000000030000000700'],
  ['basic.recover-async', false, '003c006401'],
  ['basic.recover', false, '003c006e01'],
  ['basic.recover-ok', false, '003c006f'],
  ['basic.nack', false, '003c0078000000030000000702'],
  ['confirm.select', false, '0055000a01'],
  ['confirm.select-ok', false, '0055000b'],
  ['tx.select', false, '005a000a'],
  ['tx.select-ok', false, '005a000b'],
  ['tx.commit', false, '005a0014'],
  ['tx.commit-ok', false, '005a0015'],
  ['tx.rollback', false, '005a001e'],
  ['tx.rollback-ok', false, '005a001f'],
];

/** A table with one field of each of RabbitMQ's types, in its encoder's octets, without the count. */
export const tableVector =
  '01735300000005746578c3a401747401016262fb014242c802736873fed4017575ea60014949fffeee90016969ee6b280001' +
  '6c6c00200000000000010166663fc000000164643fb999999999999a015454000000006553f1000144440200003039017878' +
  '0000000200ff0156560141410000001f5300000001616c0000000000000005460000000b016e6c0000000000000001014646' +
  '00000008016b530000000176';

/** All fourteen properties, the headers being `tableVector`. */
export const propertiesVector =
  'fffc0a746578742f706c61696e04677a6970000000a201735300000005746578c3a401747401016262fb014242c802736873' +
  'fed4017575ea60014949fffeee90016969ee6b2800016c6c00200000000000010166663fc000000164643fb999999999999a' +
  '015454000000006553f10001444402000030390178780000000200ff0156560141410000001f5300000001616c0000000000' +
  '000005460000000b016e6c000000000000000101464600000008016b530000000176020704636f7272057265706c79043130' +
  '3030036d6964000000006553f10003747970037573720361707003636c75';
