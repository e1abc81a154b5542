/** Resolves when the signal has aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/**
 * What serves before it is connected serves until the signal aborts; only that it is refused for good ends it early. Stopped while it
 * waits is no failure.
 * @param connect may reject when the signal aborts
 * @param onUp called once it is connected
 */
export async function serveUntil(
  stop: AbortSignal,
  connect: () => Promise<unknown>,
  onUp = (): void => {},
): Promise<void> {
  // First: what `connect` rejects with because of the signal comes after.
  const stopped = aborted(stop);
  const refused = connect().then(() => {
    onUp();
    return stopped;
  });
  await Promise.race([stopped, refused]);
}
