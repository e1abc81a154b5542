/**
 * The directory that holds a store. What was written is safe once `sync` has resolved; that a file is there, or gone,
 * once `syncDir` has. Before that a power cut may keep any part of it.
 *
 * Every method rejects with a Failure: DISK_FULL (no space left, quota) or DISK_ERROR (anything else).
 */
export interface Disk {
  /** For messages to people. */
  readonly name: string;
  list(): Promise<string[]>;
  /** Makes the file if it is not there. */
  open(name: string): Promise<DiskFile>;
  remove(name: string): Promise<void>;
  syncDir(): Promise<void>;
}

export interface DiskFile {
  /** All of it, one buffer after the other; when it rejects, any part may be there. */
  write(offset: number, buffers: readonly Buffer[]): Promise<void>;
  sync(): Promise<void>;
  /** Fewer bytes than asked only at the end of the file. */
  read(offset: number, length: number): Promise<Buffer>;
  size(): Promise<number>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}
