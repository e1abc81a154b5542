import { createHash } from 'node:crypto';
import { type Identifier, identifierOfHash, identifierOfMember } from '../../../services/chord/identifier.ts';
import { successorIndex } from './converged.ts';

const sha256 = (octets: Uint8Array | string): Uint8Array => createHash('sha256').update(octets).digest();

export interface KeysPerNode {
  readonly mean: number;
  readonly p1: number;
  readonly p99: number;
}

/** How many keys each member owns, at its real places: members and keys are hashes of numbers. */
export function measureKeys(members: number, virtualNodes: number, counts: readonly number[]): KeysPerNode[] {
  const owners: { readonly id: Identifier; readonly member: number }[] = [];
  for (let member = 0; member < members; member++) {
    const name = Buffer.from(sha256(`member ${member}`)).toString('hex');
    for (let index = 0; index < virtualNodes; index++)
      owners.push({ id: identifierOfMember(name, index, sha256), member });
  }
  owners.sort((one, other) => (one.id < other.id ? -1 : 1));
  const ids = owners.map(({ id }) => id);
  const load = new Uint32Array(members);
  const results: KeysPerNode[] = [];
  let keys = 0;
  for (const count of counts) {
    for (; keys < count; keys++) {
      const owner = owners[successorIndex(ids, identifierOfHash(sha256(`key ${keys}`)))]?.member ?? 0;
      load[owner] = (load[owner] ?? 0) + 1;
    }
    const sorted = load.slice().sort();
    const at = (share: number): number => sorted[Math.floor(share * (members - 1))] ?? 0;
    results.push({ mean: count / members, p1: at(0.01), p99: at(0.99) });
  }
  return results;
}
