import { Provider } from '../../proto/gen/warren/chord/v1/ring.ts';
import { isMemberId, type MemberId } from '../lib/identity/member-id.ts';
import { type AddressBook, isAddress, maxAddresses } from './address-book.ts';
import type { Place } from './host.ts';
import { identifierOfMember } from './identifier.ts';
import { placeOfFile } from './key.ts';
import { sha256 } from './wire.ts';

/** Who has a file, as the member itself has signed it. */
export interface FileProvider {
  readonly memberId: MemberId;
  /** `host:port`, at most 4; none: over the bus only. */
  readonly addresses: readonly string[];
  /** What it calls the file, without folders; empty when it does not say. */
  readonly name: string;
}

/** Who has a file, as the ring knows it. Files by their ids, 64 lower-case hexadecimal digits. */
export interface ProviderPort {
  /**
   * Says that this member has it, and again as long as the daemon runs, until `withdraw`; also when it rejects.
   * @throws Failure `NO_MAJORITY`, `REFUSED`, `OUTSIDE`
   */
  provide(fileId: string): Promise<void>;
  /** @throws as `provide` */
  withdraw(fileId: string): Promise<void>;
  /** As `provide`, with many others and soon: whatever is in the way, it is tried again. @throws Failure `REFUSED` there are too many */
  announce(fileId: string, name: string): void;
  /** As `withdraw`, soon. */
  retract(fileId: string): void;
  /** Who said so lately; at most 64. @throws Failure `NO_MAJORITY`, `OUTSIDE` */
  providers(fileId: string): Promise<FileProvider[]>;
  /** Where a member can be dialled, if it is in the ring. @throws Failure `NO_WAY`, `HOP_LIMIT`, `OUTSIDE` */
  addressesOf(member: MemberId): Promise<readonly string[] | undefined>;
}

const maxName = 255;

export function providersOn({ node, storage }: Place, book: AddressBook): ProviderPort {
  const about = (name: string) => () => {
    const isShort = Buffer.byteLength(name) <= maxName;
    return Provider.encode({ addresses: book.own(), name: isShort ? name : '' }).finish();
  };
  return {
    provide: async fileId => storage.provide(placeOfFile(fileId), about('')),
    withdraw: async fileId => storage.withdraw(placeOfFile(fileId)),
    announce: (fileId, name) => storage.publisher.add(placeOfFile(fileId), about(name)),
    retract: fileId => storage.publisher.remove(placeOfFile(fileId)),
    async providers(fileId) {
      const found = await storage.providers(placeOfFile(fileId));
      return found.flatMap(({ writer, value }) =>
        isMemberId(writer) ? [{ memberId: writer, ...decodeProvider(value) }] : [],
      );
    },
    async addressesOf(member) {
      const { owner } = await node.lookup(identifierOfMember(member, 0, sha256));
      return owner.member === member ? book.of(owner) : undefined;
    },
  };
}

/** Whoever says nonsense says nothing. */
function decodeProvider(value: Uint8Array): Pick<FileProvider, 'addresses' | 'name'> {
  try {
    const { addresses, name } = Provider.decode(value);
    return {
      addresses: addresses.filter(isAddress).slice(0, maxAddresses),
      name: Buffer.byteLength(name) <= maxName ? name : '',
    };
  } catch {
    return { addresses: [], name: '' };
  }
}
