import { isIPv6 } from 'node:net';

/** Whom limits count: of IPv6 the network (/64), of which one host has all addresses. */
export function networkOf(remote = ''): string {
  const plain = remote.replace(/^::ffff:(?=\d+\.)/, '');
  if (!isIPv6(plain)) return plain;
  const [head = '', tail = ''] = plain.split('::');
  const groups = head.split(':').filter(group => group !== '');
  const behind = tail.split(':').filter(group => group !== '').length;
  while (plain.includes('::') && groups.length + behind < 8) groups.push('0');
  return `${groups.slice(0, 4).join(':')}::/64`;
}
