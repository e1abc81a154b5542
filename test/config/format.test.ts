import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  backendUrl,
  brokerUrl,
  listenHost,
  maskPasswords,
  network,
  upstreamUrl,
} from '../../services/config/address.ts';
import { choice, flag, integer, list, port } from '../../services/config/format.ts';
import { bytes, duration } from '../../services/config/quantity.ts';

const MAX = 2 ** 40;

describe('sizes', () => {
  test.each([
    ['1000', 1000],
    ['0', 0],
    ['8MiB', 8 * 1024 * 1024],
    ['64 KiB', 65_536],
    ['2gib', 2 * 1024 ** 3],
  ])('%s is %d bytes', (text, value) => expect(bytes(0, MAX).parse(text)).toBe(value));

  test.each(['', '8MB', '1.5MiB', '-1', 'MiB', '8 Mi B', '0x10', '99999999GiB'])('%j is no size', text =>
    expect(() => bytes(0, MAX).parse(text)).toThrow('must be a size'),
  );

  test('any size is read back as it was written', () =>
    fc.assert(fc.property(fc.nat(MAX), value => bytes(0, MAX).parse(bytes(0, MAX).format(value)) === value)));

  test('any number of any unit is read, and written in the largest unit that fits', () => {
    const factors = { GiB: 1024 ** 3, MiB: 1024 ** 2, KiB: 1024, '': 1 };
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.constantFrom(...Object.entries(factors)),
        (n, [unit, factor]) => {
          expect(bytes(0, MAX).parse(`${n}${unit}`)).toBe(n * factor);
          if (n < 1000) expect(bytes(0, MAX).format(n * factor)).toBe(`${n}${unit}`);
        },
      ),
    );
  });

  test('a size outside its limits is told what they are', () =>
    expect(() => bytes(256, 1024 * 1024).parse('2MiB')).toThrow('must be a size from 256 to 1MiB'));
});

describe('times', () => {
  test.each([
    ['30s', 30_000],
    ['500ms', 500],
    ['2m', 120_000],
    ['1 h', 3_600_000],
    ['250', 250],
  ])('%s is %d milliseconds', (text, value) => expect(duration(0, MAX).parse(text)).toBe(value));

  test.each(['', '1d', '0.5s', '-3s', 's', '1s 500ms'])('%j is no time', text =>
    expect(() => duration(0, MAX).parse(text)).toThrow('must be a time'),
  );

  test('any time is read back as it was written', () =>
    fc.assert(fc.property(fc.nat(MAX), value => duration(0, MAX).parse(duration(0, MAX).format(value)) === value)));
});

describe('numbers and words', () => {
  test.each(['', '8x', '1e3', '0x50', '65536', '-1', '3.5', 'NaN'])('%j is no port', text =>
    expect(() => port.parse(text)).toThrow('must be a whole number from 0 to 65535'),
  );

  test('limits are included', () => expect(['1', '1000'].map(integer(1, 1000).parse)).toEqual([1, 1000]));

  test('a word that is not one of them is told which there are', () =>
    expect(() => choice('console', 'json', 'off').parse('xml')).toThrow('must be console, json or off'));

  test.each([
    ['true', true],
    ['Yes', true],
    ['off', false],
    ['0', false],
  ])('%s is %s', (text, value) => expect(flag.parse(text)).toBe(value));

  test('anything else is neither true nor false', () => expect(() => flag.parse('maybe')).toThrow());

  test('a list names the place of its bad item and ignores empty ones', () => {
    expect(list(port).parse(' 1, 2,,3 ,')).toEqual([1, 2, 3]);
    expect(list(port).parse('')).toEqual([]);
    expect(() => list(port).parse('1,x,3')).toThrow('(item 2 of 3)');
  });
});

describe('addresses', () => {
  test.each(['', '0.0.0.0', '::', 'localhost', 'a-b.example.com'])('%j can be listened on', text =>
    expect(listenHost.parse(text)).toBe(text),
  );

  test.each(['10.0.0.256', 'http://x', 'a b', '[::1]', 'x:80', '-x'])('%j cannot', text =>
    expect(() => listenHost.parse(text)).toThrow('must be an IP address or a host name'),
  );

  test.each(['amqp://h', 'amqps://u:p%23@h:5671/v%2fh?heartbeat=5', 'amqp://[::1]:5672'])('%s is a broker', text =>
    expect(brokerUrl.parse(text)).toBe(text),
  );

  test.each(['', 'h:5672', 'http://h', 'amqp:///v', 'amqp://u:p#x@h', 'amqp://u:pa/ss@h'])('%j is no broker', text =>
    expect(() => brokerUrl.parse(text)).toThrow('must be an amqp:// or amqps:// URL'),
  );

  test('an upstream loses its trailing slash and its default port', () => {
    expect(upstreamUrl.parse('http://127.0.0.1:3000/')).toBe('http://127.0.0.1:3000');
    expect(upstreamUrl.parse('https://Example.com:443')).toBe('https://example.com');
  });

  test.each(['localhost:3000', 'http://h/path', 'http://h/?q', 'http://h#', 'http://u:p@h', 'ftp://h', ''])(
    '%j is no upstream',
    text => expect(() => upstreamUrl.parse(text)).toThrow('must'),
  );

  test.each(['10.0.0.0/8', '192.168.1.7', '::1', 'fe80::/10', '0.0.0.0/0'])('%s can be trusted', text =>
    expect(network.parse(text)).toBe(text),
  );

  test.each(['10.0.0.0/33', '::/129', '10.0.0/8', 'localhost', '10.0.0.0/', '10.0.0.0/8/8', ''])(
    '%j cannot be trusted',
    text => expect(() => network.parse(text)).toThrow('must be an IP address or a network'),
  );

  test.each([
    ['54.152.81.179', 'http://54.152.81.179:8080'],
    ['54.152.81.179:3000', 'http://54.152.81.179:3000'],
    ['backend.local', 'http://backend.local:8080'],
    ['[2001:db8::1]:81', 'http://[2001:db8::1]:81'],
    ['[::1]', 'http://[::1]:8080'],
    ['::1', 'http://[::1]:8080'],
    ['h:80', 'http://h'],
  ])("the origin's %s is %s", (text, url) => expect(backendUrl(text, 8080)).toBe(url));

  test.each(['', 'http://h', 'h:0', 'h:65536', '1.2.3.400', '[1.2.3.4]:80', 'h:80:80', 'a b', 'u@h'])(
    "%j is no server of the origin's",
    text => expect(() => backendUrl(text, 8080)).toThrow('must be a host name'),
  );
});

test('passwords never survive masking, wherever they stand', () => {
  const secret = fc.stringMatching(/^[a-zA-Z0-9!$%&*/:@_-]{6,20}$/);
  fc.assert(
    fc.property(
      secret,
      fc.constantFrom('amqp://u:S@h:5672/v', 'x "http://me:S@h"', '--broker=amqps://:S@h', 'u:S@h'),
      (s, text) => {
        expect(maskPasswords(text.replace('S', () => `#${s}#`))).not.toContain(`#${s}#`);
      },
    ),
  );
  expect(maskPasswords('amqp://h:5672 and amqp://h2')).toBe('amqp://h:5672 and amqp://h2');
});
