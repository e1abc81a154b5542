import { describe, expect, test } from 'vitest';
import { Typed } from '../../../services/broker/amqp/field-value.ts';
import { expirationOf } from '../../../services/broker/server/expiration.ts';
import { clientOf, credentialsOf } from '../../../services/broker/server/handshake.ts';
import { streamStart } from '../../../services/broker/server/stream-start.ts';

describe('an expiration', () => {
  test.for([
    [undefined, undefined],
    ['0', 0],
    ['60000', 60_000],
    ['007', 7],
    ['315360000000', 315_360_000_000],
  ] as const)('of %s is %s ms', ([text, ms]) => {
    expect(expirationOf(text)).toBe(ms);
  });

  test.for([
    ['', 'no_integer'],
    ['soon', 'no_integer'],
    ['1e3', '{leftover_string,"e3"}'],
    ['5\n', '{leftover_string,"\n"}'],
    ['-1', '{value_negative,-1}'],
    ['315360000001', '{value_too_large,315360000001}'],
  ] as const)("of '%s' is refused: %s", ([text, why]) => {
    expect(() => expirationOf(text)).toThrow(`PRECONDITION_FAILED - invalid expiration '${text}': ${why}`);
  });
});

describe('where a reader of a stream begins', () => {
  test.for([
    [undefined, 'next'],
    ['first', 'first'],
    ['last', 'last'],
    ['next', 'next'],
    [7, { offset: 7 }],
    [7n, { offset: 7 }],
    [new Typed('T', 12), { timestampMs: 12_000 }],
    ['1m', { timestampMs: 40_000 }],
  ] as const)('%s: %j', ([offset, start]) => {
    expect(streamStart(offset === undefined ? {} : { 'x-stream-offset': offset }, 100_000)).toEqual(start);
  });

  test.for(['somewhere', -1, true, null])('%s is refused', offset => {
    expect(() => streamStart({ 'x-stream-offset': offset }, 0)).toThrow('PRECONDITION_FAILED - invalid value');
  });
});

describe('who logs in', () => {
  const start = (mechanism: string, response: string): Parameters<typeof credentialsOf>[0] => ({
    name: 'connection.start-ok',
    clientProperties: {},
    mechanism,
    response: Buffer.from(response),
    locale: 'en_US',
  });

  test('says name and password between NULs, whatever stands in front', () => {
    expect(credentialsOf(start('PLAIN', '\0ann\0secret'))).toEqual({ user: 'ann', password: 'secret' });
    expect(credentialsOf(start('PLAIN', 'other\0ann\0'))).toEqual({ user: 'ann', password: '' });
  });

  test.for([
    ['PLAIN', ''],
    ['PLAIN', '\0ann'],
    ['AMQPLAIN', '\0ann\0secret'],
  ] as const)('by %s, %j, says nothing', ([mechanism, response]) => {
    expect(credentialsOf(start(mechanism, response))).toBeUndefined();
  });

  test('is called by its own name or by its product, and can what it says', () => {
    expect(clientOf({ product: 'lib', connection_name: 'mine' }).name).toBe('mine');
    expect(clientOf({ product: 'lib', connection_name: 5 }).name).toBe('lib');
    const capabilities = { 'connection.blocked': true, consumer_cancel_notify: 'yes' };
    expect(clientOf({ capabilities })).toMatchObject({ name: '', hearsBlocked: true, hearsCancel: false });
    expect(clientOf({ capabilities: null })).toMatchObject({ hearsBlocked: false });
  });
});
