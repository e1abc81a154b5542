import { unwatchFile, watchFile } from 'node:fs';
import { type Membership, membershipFile, readMembership } from './home.ts';

/** Asked of the file system, which works on all of them. */
const everyMs = 500;

/**
 * Notices that the machine has joined again (`warren join --again`, a process of its own): then its account is another one.
 * A certificate that is renewed changes nothing of that.
 */
export function watchMembership(dataDir: string, before: Membership): { readonly signal: AbortSignal; close(): void } {
  const changed = new AbortController();
  const file = membershipFile(dataDir);
  const look = async (): Promise<void> => {
    try {
      const now = await readMembership(dataDir);
      if (now !== undefined && accountIn(now) !== accountIn(before)) changed.abort();
    } catch {
      // Damaged, or in the middle of something: the one that is read in is good until another can be read.
    }
  };
  const onChange = (): void => void look();
  watchFile(file, { interval: everyMs, persistent: false }, onChange);
  // What changed before it was watched.
  onChange();
  return { signal: changed.signal, close: () => unwatchFile(file, onChange) };
}

/** All but the certificate. */
function accountIn(membership: Membership): string {
  return JSON.stringify({ ...membership, certificate: '' });
}
