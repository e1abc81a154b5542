import type { FileHandle } from 'node:fs/promises';

/** Fills parts one after the other from a place in a file. @returns false: the file ends before */
export async function readParts(handle: FileHandle, parts: readonly Uint8Array[], position: number): Promise<boolean> {
  const total = parts.reduce((sum, { length }) => sum + length, 0);
  const { bytesRead } = await handle.readv(parts, position);
  if (bytesRead === total) return true;
  // Seldom: what is left, part by part.
  let at = position;
  for (const part of parts) {
    for (let read = Math.min(part.length, Math.max(0, position + bytesRead - at)); read < part.length; ) {
      const rest = await handle.read(part, read, part.length - read, at + read);
      if (rest.bytesRead === 0) return false;
      read += rest.bytesRead;
    }
    at += part.length;
  }
  return true;
}
