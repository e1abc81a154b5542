/**
 * Where the broker's HTTP API is: as configured, else where RabbitMQ's custom is, with the account of the broker's URL; of each node.
 * @param broker settings `broker.http_url` and `broker.url`
 * @returns undefined when neither is known
 */
export function managementUrls({
  httpUrl,
  url: nodes,
}: {
  readonly httpUrl?: readonly string[] | undefined;
  readonly url: readonly string[];
}): readonly string[] | undefined {
  if (httpUrl !== undefined && httpUrl.length > 0) return httpUrl;
  return nodes.length === 0 ? undefined : nodes.map(guessed);
}

function guessed(node: string): string {
  const { protocol, hostname, username, password } = new URL(node);
  const isSecure = protocol === 'amqps:';
  const account = username === '' ? 'guest:guest' : `${username}:${password}`;
  return `${isSecure ? 'https' : 'http'}://${account}@${hostname}:${isSecure ? 15_671 : 15_672}`;
}
