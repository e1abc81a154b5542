import { describe, expect, test } from 'vitest';
import { createTrust } from '../../services/proxy/trust.ts';

test('nobody is trusted unless told so', () => {
  const isTrusted = createTrust([]);
  for (const address of ['127.0.0.1', '::1', '10.0.0.1', '']) expect(isTrusted(address)).toBe(false);
});

describe('of addresses and networks that are given', () => {
  const isTrusted = createTrust(['192.0.2.1', '10.0.0.0/8', '2001:db8::1', '2001:db8:1::/48', '172.16.5.4/12']);

  test.each([
    '192.0.2.1',
    '10.0.0.0',
    '10.255.255.255',
    '172.31.255.255',
    '2001:db8::1',
    '2001:0DB8:0:0::0001',
    '2001:db8:1:ffff::9',
    '::ffff:10.1.2.3',
    '::ffff:192.0.2.1',
  ])('%s is trusted', address => {
    expect(isTrusted(address)).toBe(true);
  });

  test.each([
    '192.0.2.2',
    '11.0.0.0',
    '9.255.255.255',
    '172.32.0.0',
    '2001:db8::2',
    '2001:db8:2::',
    '::ffff:11.0.0.1',
    '::1',
  ])('%s is not', address => {
    expect(isTrusted(address)).toBe(false);
  });

  test.each(['', 'unknown', '10.0.0', '10.0.0.1.evil.example', ' 10.0.0.1', '10.0.0.1:80', '[2001:db8::1]'])(
    '%j is no address, so not trusted: a socket that has gone has none',
    address => {
      expect(isTrusted(address)).toBe(false);
    },
  );
});

test('a link-local address is trusted by its network, whatever its zone (RFC 4007 §11)', () => {
  expect(createTrust(['fe80::/10'])('fe80::1%eth0')).toBe(true);
});

test('0.0.0.0/0 trusts all of IPv4, ::/0 all of IPv6', () => {
  expect(createTrust(['0.0.0.0/0'])('203.0.113.9')).toBe(true);
  expect(createTrust(['0.0.0.0/0'])('2001:db8::1')).toBe(false);
  expect(createTrust(['::/0'])('2001:db8::1')).toBe(true);
});
