import { createServer } from 'node:http';

/** The service behind every proxy of the benchmark: 1 KiB, at `/cached` to be stored and anywhere else never. */
const body = Buffer.alloc(1024, 'x');
const server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  response.writeHead(200, [
    'Content-Type',
    'text/plain',
    'Content-Length',
    String(body.length),
    'Cache-Control',
    request.url === '/cached' ? 'public, max-age=600' : 'no-store',
  ]);
  response.end(body);
});
server.listen(Number(process.argv[2]), '127.0.0.1');
process.on('SIGTERM', () => process.exit());
