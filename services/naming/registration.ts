import { Failure } from '../lib/failure.ts';
import type { NamingClient } from './client.ts';

/** How a server stands to its name just now. */
export type Standing = {
  readonly addresses: readonly string[];
  /** Of the last entry of the log that it has seen. */
  readonly logOffset: number;
} & (
  | { readonly role: 'latent'; readonly isDraining: boolean }
  | { readonly role: 'active'; readonly epoch: number; readonly migrationId: string }
);

export interface RegistrationNeeds {
  readonly client: NamingClient;
  /** Asked before each call; undefined: nothing to say. */
  readonly standing: () => Standing | undefined;
  /** Naming knows a later epoch, or another holder of ours: the log has it too, or soon. */
  readonly onSuperseded?: (failure: Failure) => void;
  /** A call was refused, or not answered; it is made again with the next renewal. */
  readonly onFailure?: (failure: Failure) => void;
}

export interface RegistrationOptions {
  readonly name: string;
  /** Over the bus ''. */
  readonly memberId: string;
  /** A third of the lease. */
  readonly renewMs: number;
}

export interface Registration {
  /** Says it at once: after a change. Resolves when it has been said, or could not be. */
  tell(): Promise<void>;
  /** Says it no more, and leaves. */
  close(): Promise<void>;
}

/**
 * Keeps naming told of one server: registers, renews, registers again when naming has forgotten or the standing has changed. Nothing
 * that a server does waits for it: while naming is down, it is tried again and again.
 */
export function keepRegistered(
  { client, standing, onSuperseded, onFailure }: RegistrationNeeds,
  { name, memberId, renewMs }: RegistrationOptions,
): Registration {
  /** What naming has accepted last. */
  let told: string | undefined;
  let last: Promise<void> = Promise.resolve();
  let isClosed = false;
  let isTelling = false;
  const options = { deadlineMs: Math.max(renewMs, 500) };

  const say = async (now: Standing): Promise<void> => {
    const { addresses, logOffset, role } = now;
    const common = { name, memberId, logOffset };
    const isDraining = role === 'latent' && now.isDraining;
    const as = role === 'active' ? `${now.epoch} ${now.migrationId}` : 'latent';
    const key = `${as} ${addresses.join(' ')}`;
    if (key === told) {
      const epoch = role === 'active' ? now.epoch : 0;
      const isKnown = await client.renew({ ...common, epoch, isDraining }, options).then(
        () => true,
        error => {
          if (error instanceof Failure && error.code === 'NAMING_UNREGISTERED') return false;
          throw error;
        },
      );
      if (isKnown) return;
    }
    told = undefined;
    if (role === 'latent') await client.registerLatent({ ...common, addresses: [...addresses], isDraining }, options);
    else {
      const { epoch, migrationId } = now;
      await client.register({ ...common, addresses: [...addresses], epoch, migrationId }, options);
    }
    told = key;
  };

  const turn = async (): Promise<void> => {
    const now = standing();
    if (isClosed || now === undefined) return;
    try {
      await say(now);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.code === 'NAMING_EPOCH') onSuperseded?.(error);
      else onFailure?.(error);
    }
  };
  // One call at a time: an earlier standing must not arrive behind a later one.
  const tell = (): Promise<void> => {
    last = last.then(turn, turn);
    return last;
  };

  const timer = setInterval(() => {
    if (!isTelling) void run();
  }, renewMs);
  const run = async (): Promise<void> => {
    isTelling = true;
    await tell().finally(() => {
      isTelling = false;
    });
  };
  void run();

  return {
    tell,
    async close() {
      isClosed = true;
      clearInterval(timer);
      await last.catch(() => {});
      if (told !== undefined) await client.leave({ name, memberId }, options).catch(() => {});
    },
  };
}
