/** Where a server of this machine can be asked: what listens on all addresses is asked on loopback. For a URL. */
export function dialable(listenHost: string): string {
  if (['', '0.0.0.0', '::'].includes(listenHost)) return '127.0.0.1';
  return listenHost.includes(':') ? `[${listenHost}]` : listenHost;
}
