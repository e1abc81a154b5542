import { Agent, createServer, request as requestUpstream } from 'node:http';

/**
 * A reverse proxy as one would write it in Node without a broker, and no worse: keep-alive to the upstream, bodies piped,
 * hop-by-hop fields dropped (RFC 9110 §7.6.1), `X-Forwarded-For` and `Via` added.
 */
const [, , port, upstreamPort] = process.argv;
const agent = new Agent({ keepAlive: true, maxFreeSockets: 1024 });
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const fields = endToEnd(request.rawHeaders);
  fields.push('X-Forwarded-For', request.socket.remoteAddress ?? '', 'Via', `${request.httpVersion} plain`);
  const upstream = requestUpstream(
    {
      host: '127.0.0.1',
      port: Number(upstreamPort),
      method: request.method,
      path: request.url,
      headers: fields,
      agent,
    },
    answer => {
      const answerFields = endToEnd(answer.rawHeaders);
      answerFields.push('Via', '1.1 plain');
      response.writeHead(answer.statusCode ?? 502, answerFields);
      answer.pipe(response);
    },
  );
  upstream.on('error', () => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502).end();
  });
  request.pipe(upstream);
});
server.listen(Number(port), '127.0.0.1');
process.on('SIGTERM', () => process.exit());

function endToEnd(received: readonly string[]): string[] {
  const fields: string[] = [];
  const named = connectionOptions(received);
  for (let i = 0; i < received.length; i += 2) {
    const name = received[i] ?? '';
    const lower = name.toLowerCase();
    if (!hopByHop.has(lower) && !named.includes(lower)) fields.push(name, received[i + 1] ?? '');
  }
  return fields;
}

/** What the `Connection` field names goes no further either. */
function connectionOptions(received: readonly string[]): string[] {
  for (let i = 0; i < received.length; i += 2) {
    if (received[i]?.toLowerCase() === 'connection') {
      return (received[i + 1] ?? '').split(',').map(option => option.trim().toLowerCase());
    }
  }
  return [];
}
