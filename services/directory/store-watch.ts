import type { Bus } from '../bus/bus.ts';
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
  let version = store.version();
  const carry = (): void => {
    feed.tell();
    keeper?.wake();
  };
  const look = (): void => {
    try {
      const found = store.version();
      if (found === version) return;
      version = found;
      carry();
    } catch (error) {
      warn(`cannot read the store: ${(error as Error).message}`);
    }
  };
  const timer = setInterval(look, lookEveryMs);
  const off = bus.onState(state => {
    if (state === 'up') carry();
  });
  carry();
  return () => {
    off();
    clearInterval(timer);
  };
}
