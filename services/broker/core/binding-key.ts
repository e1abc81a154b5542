/**
 * The ledger knows a binding by exchange, queue and key; one with arguments is kept under its key, NUL, and the text that tells its
 * arguments from others, which has no NUL.
 */
export function storedKey(key: string, args: string): string {
  return args === '' && !key.includes('\0') ? key : `${key}\0${args}`;
}

/** The other way round. */
export function keyOfStored(stored: string): { readonly key: string; readonly args: string } {
  const at = stored.lastIndexOf('\0');
  return at === -1 ? { key: stored, args: '' } : { key: stored.slice(0, at), args: stored.slice(at + 1) };
}
