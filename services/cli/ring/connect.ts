import { resolve } from 'node:path';
import { ChordServiceDefinition } from '../../../proto/gen/warren/chord/v1/chord.ts';
import { loadConfig } from '../../config/load.ts';
import type { Client } from '../../lib/rpc/definition.ts';
import type { Io } from '../io.ts';
import { loadOptions } from '../settings-file.ts';

export type RingOwner = Client<typeof ChordServiceDefinition>;

/** Longer than a put or a get tries. */
export const patience = { deadlineMs: 30_000 };

/**
 * Calls the daemon of the data directory as its owner.
 * @param flags those of the settings
 * @throws Failure DAEMON_NOT_RUNNING, CONFIG, and what `act` throws
 */
export async function withRing<T>(flags: readonly string[], io: Io, act: (ring: RingOwner) => Promise<T>): Promise<T> {
  const config = loadConfig(loadOptions('ring', flags, io));
  const { connectToDaemon } = await import('../../lib/rpc/local-daemon.ts');
  const connection = await connectToDaemon(resolve(io.cwd, config.data.dir));
  try {
    return await act(connection.client(ChordServiceDefinition));
  } finally {
    connection.close();
  }
}
