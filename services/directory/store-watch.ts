import type { Bus } from '../bus/bus.ts';
import { messageOf } from '../lib/failure.ts';
import type { AccountKeeper } from './account-keeper.ts';
import type { RevocationFeed } from './revocation-feed.ts';
import type { DirectoryStore } from './store.ts';

/** `warren invite`, `members revoke` and `users disable` write to the store from processes of their own: how soon we see it. */
const lookEveryMs = 200;

/**
 * Carries what the store says to where it counts: revocations to the members, accounts to the broker. Whenever another process has
 * changed the store, and whenever the broker is back.
 * @returns ends it
 */
export function watchStore({
  store,
  bus,
  keeper,
  feed,
  warn,
}: {
  store: DirectoryStore;
  bus: Bus;
  keeper: AccountKeeper | undefined;
  feed: RevocationFeed;
  warn: (line: string) => void;
}): () => void {
  /** What the store said when all of it was carried; undefined: not all was. */
  let version: number | undefined;
  let told = '';
  let isWanted = false;
  let isCarrying = false;
  /** One at a time; who asks meanwhile has another one after it. */
  const carry = async (): Promise<void> => {
    isWanted = true;
    if (isCarrying) return;
    isCarrying = true;
    while (isWanted) {
      isWanted = false;
      await carryOnce();
    }
    isCarrying = false;
  };
  const carryOnce = async (): Promise<void> => {
    try {
      version = undefined;
      const found = store.version();
      // Before its account goes.
      await feed.tell();
      keeper?.wake();
      version = found;
      told = '';
    } catch (error) {
      const line = messageOf(error);
      if (line !== told) warn(`cannot read the store: ${line}`);
      told = line;
    }
  };
  const look = (): void => {
    try {
      if (isCarrying || store.version() === version) return;
    } catch {
      // Said by `carry`, which meets with the same.
    }
    void carry();
  };
  const timer = setInterval(look, lookEveryMs);
  const off = bus.onState(state => {
    if (state === 'up') void carry();
  });
  void carry();
  return () => {
    off();
    clearInterval(timer);
  };
}
