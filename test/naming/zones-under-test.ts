import { parseHostPort } from '../../services/naming/host-port.ts';
import type { ServedName, Zones } from '../../services/naming/zone.ts';

/** A member id that begins with those digits. */
export function memberNamed(digits: string): string {
  return digits.padEnd(64, '0');
}

export function servedAt(addresses: readonly string[], overrides: Partial<ServedName> = {}): ServedName {
  return {
    epoch: 7,
    migrationId: 'm7',
    memberId: memberNamed('abc'),
    isHeld: true,
    hosts: addresses.map(parseHostPort).filter(host => host !== undefined),
    ...overrides,
  };
}

/** Zones of names that do not move. */
export function zonesOf(origins: readonly string[], names: Readonly<Record<string, ServedName>>): Zones {
  return {
    origins,
    serial: 42,
    nameServer: [{ host: '127.0.0.1', family: 4, port: 53 }],
    find: name => (Object.hasOwn(names, name) ? names[name] : undefined),
    hasBelow: name => Object.keys(names).some(each => each.endsWith(`.${name}`)),
  };
}

/** Eight addresses at a long name: more than 512 octets in any answer that has them all. */
export const longName = `${Array(3).fill('l'.repeat(50)).join('.')}.backend.com`;

export const sample = zonesOf(['backend.com', 'lab'], {
  'backend.com': servedAt(['10.0.0.1:50051', '[fd00::1]:50051', 'host.example:99']),
  'silent.lab': servedAt(['10.0.0.2:1'], { isHeld: false }),
  'deep.down.lab': servedAt(['10.0.0.3:1']),
  'waiting.lab': servedAt([], { epoch: 0, memberId: '', migrationId: '', isHeld: false }),
  'outside.org': servedAt(['10.0.0.4:1']),
  [longName]: servedAt(Array.from({ length: 8 }, (_, i) => `10.1.0.${i + 1}:50051`)),
});
