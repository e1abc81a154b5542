import type { Used } from './used.ts';

/** What is to be moved: a file, or a folder with all that is in it, of the served folder. */
export interface Wanted {
  readonly name: string;
  /** Paths below the served folder of every file that it means; one for a file. */
  readonly files: readonly string[];
  readonly bytes: number;
}

/** A process that serves a folder. */
export interface Source {
  /** `127.0.0.1:port` on a direct route; what a contestant makes of it on a relayed one. */
  readonly address: string;
  /** Whose CPU and memory are the source's; children are counted with their parents. */
  readonly pids: readonly number[];
}

/** A way to move files from one process to another; Warren's transfer engine is one of them. */
export interface Contestant {
  /** Short, stable: `grpc-tls-64`. */
  readonly key: string;
  readonly name: string;
  /** How many sources it can pull from at once. */
  readonly mostSources: number;
  readonly takesFolders: boolean;
  /** `direct`: the receiver dials the source, and a TCP relay may stand before that. `relay`: over a broker. */
  readonly route: 'direct' | 'relay';
  /** Payload of a frame or message, where there are such. */
  readonly frameKiB?: number;
  /** Whose CPU is spent in between: brokers. */
  readonly carriers?: readonly number[];
  /** Serves a folder, ready to send when this resolves: what is hashed beforehand is not measured. */
  start(dir: string): Promise<Source>;
  /**
   * Moves it into the folder `to`, in a process of its own that was ready before the clock starts. Resolves when every byte
   * is in its file and the file is closed. The bench checks the bytes, and brings them to the disk, itself.
   */
  fetch(addresses: readonly string[], wanted: Wanted, to: string): Promise<Used>;
}
