/**
 * The broker as members reach it, without an account.
 * @param broker `address`: as it was configured for them; else `url`, with an account, as we reach it ourselves
 */
export function brokerPlaces({ address, url }: { address: readonly string[]; url: readonly string[] }): string[] {
  return (address.length > 0 ? address : url).map(place => {
    const parsed = new URL(place);
    parsed.username = '';
    parsed.password = '';
    return parsed.href;
  });
}

/** Whether it means another machine to each machine. */
export function isLoopback(place: string): boolean {
  const { hostname } = new URL(place);
  return /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/i.test(hostname) || hostname === '';
}
