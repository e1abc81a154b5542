import type { NamingServiceDefinition } from '../../../proto/gen/warren/naming/v1/naming.ts';
import { Failure, messageOf } from '../../lib/failure.ts';
import type { MemberId } from '../../lib/identity/member-id.ts';
import { isMemberId } from '../../lib/identity/member-id.ts';
import type { UnaryClient } from '../../lib/rpc/definition.ts';
import type { ServerEffect } from '../core/server-events.ts';

export type NamingClient = UnaryClient<typeof NamingServiceDefinition>;

/** How this member's server stands to the chat's name just now. */
export type Standing = { readonly addresses: readonly string[]; readonly logOffset: number } & (
  | { readonly role: 'latent'; readonly isDraining: boolean }
  | { readonly role: 'active'; readonly epoch: number; readonly migrationId: string }
);

/** Keeps naming told, as services/naming/registration.ts does. */
export type KeepRegistered = (
  needs: {
    readonly client: NamingClient;
    readonly standing: () => Standing | undefined;
    readonly onFailure: (failure: Failure) => void;
  },
  options: { readonly name: string; readonly memberId: string; readonly renewMs: number },
) => { tell(): Promise<void>; close(): Promise<void> };

export interface NamingEdgeNeeds {
  readonly client: NamingClient;
  readonly keepRegistered: KeepRegistered;
  readonly chat: string;
  readonly self: MemberId;
  readonly standing: () => Standing | undefined;
  readonly addresses: () => readonly string[];
  readonly onPicked: (latent: MemberId | undefined, why: string) => void;
  readonly onRecorded: (epoch: number) => void;
}

const renewMs = 1_000;
const patienceMs = 2_000;
/** How far a latent may be behind to be chosen, in entries. */
const maxLag = 1_000;

/** What a chat's server asks of naming, which decides nothing: while it is away, nobody is chosen to take over, and all else goes on. */
export class NamingEdge {
  readonly #needs: NamingEdgeNeeds;
  readonly #registration: ReturnType<KeepRegistered>;

  constructor(needs: NamingEdgeNeeds) {
    this.#needs = needs;
    const { client, standing, keepRegistered, chat: name, self: memberId } = needs;
    this.#registration = keepRegistered({ client, standing, onFailure: () => {} }, { name, memberId, renewMs });
  }

  pick(except: readonly MemberId[]): void {
    const { client, chat: name, onPicked } = this.#needs;
    client.pickLatent({ name, maxLag, except: [...except] }, { deadlineMs: patienceMs }).then(
      ({ latent }) => {
        const id = latent?.memberId ?? '';
        onPicked(isMemberId(id) ? id : undefined, 'no latent has caught up');
      },
      error =>
        onPicked(
          undefined,
          isCode(error, 'NAMING_NO_LATENT') ? 'no latent has caught up' : `naming: ${messageOf(error)}`,
        ),
    );
  }

  /** Who serves, told at once; comes again until it is known to be recorded. */
  record({ epoch, expectedEpoch, migrationId, logOffset }: Extract<ServerEffect, { kind: 'record' }>): void {
    const { client, chat: name, self: memberId, addresses, onRecorded } = this.#needs;
    const held = { name, memberId, addresses: [...addresses()], epoch, migrationId, logOffset };
    client
      .compareAndSet({ ...held, expectedEpoch }, { deadlineMs: patienceMs })
      // It was elsewhere, or has forgotten: the highest epoch stands.
      .catch(error => {
        if (isCode(error, 'NAMING_EPOCH')) return client.register(held, { deadlineMs: patienceMs });
        throw error;
      })
      .then(
        ({ record }) => onRecorded(record?.epoch ?? 0),
        error => {
          // Naming knows a later one.
          if (isCode(error, 'NAMING_EPOCH')) onRecorded(epoch);
        },
      );
  }

  /** After a change. */
  tell(): void {
    void this.#registration.tell();
  }

  close(): Promise<void> {
    return this.#registration.close();
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Failure && error.code === code;
}
