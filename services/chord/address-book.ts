import { remember } from '../lib/remember.ts';
import type { Peer } from './peer.ts';

/** Of one member. */
export const maxAddresses = 4;
/** Characters of one. */
const maxAddress = 100;
const remembered = 10_000;

/**
 * Where members can be dialled, as they said themselves: others pass on what they once heard. The newest counts.
 */
export class AddressBook {
  readonly #own: string;
  readonly #ownAddresses: () => readonly string[];
  readonly #heard = new Map<string, readonly string[]>();

  /** @param ownAddresses of this member, as they are now */
  constructor(own: string, ownAddresses: () => readonly string[]) {
    this.#own = own;
    this.#ownAddresses = ownAddresses;
  }

  own(): string[] {
    return this.#ownAddresses().filter(isAddress).slice(0, maxAddresses);
  }

  /** The member itself says so. */
  heard(member: string, addresses: readonly string[]): void {
    remember(this.#heard, member, addresses, remembered);
  }

  of({ member, address }: Pick<Peer, 'member' | 'address'>): string[] {
    if (member === this.#own) return this.own();
    return [...(this.#heard.get(member) ?? parseAddress(address))];
  }
}

/** `Peer.address` of several. */
export function formatAddresses(addresses: readonly string[]): string {
  return addresses.join(' ');
}

function parseAddress(address: string): string[] {
  return address === '' ? [] : address.split(' ');
}

/** `host:port`, in ASCII. What is dialled there has to show the member's key, so a wrong one costs a try. */
export function isAddress(text: string): boolean {
  return text.length <= maxAddress && /^[\x21-\x7e]+:\d{1,5}$/.test(text);
}
