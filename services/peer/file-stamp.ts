import type { BigIntStats } from 'node:fs';

/**
 * What a file looks like without reading it: size, times of its content and of its inode, and the inode. Equal stamps, equal content, for all
 * that a change of the file can do short of setting the clock back. Only ever compared as a whole.
 */
export function stampOf({ size, mtimeNs, ctimeNs, ino }: BigIntStats): string {
  return `${size} ${mtimeNs} ${ctimeNs} ${ino}`;
}
