import { isMemberId, type MemberId } from '../lib/identity/member-id.ts';
import { placeOfFile } from './key.ts';
import type { RingStorage } from './storage.ts';

/** Who has a file, as the ring knows it. Files by their ids, 64 lower-case hexadecimal digits. */
export interface ProviderPort {
  /**
   * Says that this member has it, and again as long as the daemon runs, until `withdraw`; also when it rejects.
   * @throws Failure `NO_MAJORITY`, `REFUSED`, `OUTSIDE`
   */
  provide(fileId: string): Promise<void>;
  /** @throws as `provide` */
  withdraw(fileId: string): Promise<void>;
  /** Members that said so lately; at most 64. @throws Failure `NO_MAJORITY`, `OUTSIDE` */
  providers(fileId: string): Promise<MemberId[]>;
}

export function providersOn(storage: RingStorage): ProviderPort {
  return {
    provide: async fileId => storage.provide(placeOfFile(fileId)),
    withdraw: async fileId => storage.withdraw(placeOfFile(fileId)),
    providers: async fileId => {
      const found = await storage.providers(placeOfFile(fileId));
      return found.map(({ writer }) => writer).filter(isMemberId);
    },
  };
}
