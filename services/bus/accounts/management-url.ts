/**
 * Where the broker's HTTP API is: as configured, else where RabbitMQ's custom is, with the account of the broker's URL.
 * @param broker settings `broker.http_url` and `broker.url`
 * @returns undefined when neither is known
 */
export function managementUrl({
  httpUrl,
  url: [first],
}: {
  readonly httpUrl?: string | undefined;
  readonly url: readonly string[];
}): string | undefined {
  if (httpUrl !== undefined) return httpUrl;
  if (first === undefined) return undefined;
  const { protocol, hostname, username, password } = new URL(first);
  const isSecure = protocol === 'amqps:';
  const account = username === '' ? 'guest:guest' : `${username}:${password}`;
  return `${isSecure ? 'https' : 'http'}://${account}@${hostname}:${isSecure ? 15_671 : 15_672}`;
}
