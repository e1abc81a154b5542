/** What is told of one finished request. Bodies never are. */
export interface RequestRecord {
  readonly client: string;
  readonly method: string;
  readonly target: string;
  readonly status: number;
  readonly seconds: number;
  readonly service: string;
  /** Who answered: an upstream, the cache, or the proxy itself with a reason. */
  readonly by: { readonly upstream: string } | 'cache' | { readonly reason: string };
  readonly traceparent: string | undefined;
}

/** The origin's console line (ORIGINS.md, A); its form for failures is ours. */
export function formatConsole({ client, seconds, status, by }: RequestRecord): string {
  if (by === 'cache') return `[*] Request done. Cache response to => ${client}`;
  if ('upstream' in by)
    return `[*] Request done: ${client} => ${seconds.toFixed(3)}s <= ${printable(withoutUsualPort(by.upstream))}`;
  return `[*] Request failed: ${client} => ${seconds.toFixed(3)}s ${status} ${printable(by.reason)}`;
}

export function formatJson(record: RequestRecord, time: string): string {
  const { by, seconds, traceparent, ...rest } = record;
  return JSON.stringify({
    time,
    level: record.status >= 500 ? 'error' : 'info',
    event: 'request',
    ...rest,
    seconds: Number(seconds.toFixed(6)),
    ...(by === 'cache' ? { cache: 'hit' } : by),
    ...(traceparent === undefined ? {} : { trace: traceparent.slice(3, 35) }),
  });
}

/** What a worker says may hold anything; here it stays on its line and leaves the terminal alone. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ');
}

/** The origin's backends all sit on 8080 and its console names them by address alone. */
function withoutUsualPort(upstream: string): string {
  return upstream.replace(/:(?:80|8080)$/, '');
}
