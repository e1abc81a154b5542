import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';
import { pipeline } from 'node:stream';

/** Serves the files of a folder over plain HTTP, as one writes it in ten lines of Node: `node http-source.ts DIR`. */
const [dir = '.'] = process.argv.slice(2);
const server = createServer((request, response) => {
  const file = join(dir, normalize(decodeURIComponent(request.url ?? '/')));
  try {
    response.setHeader('content-length', statSync(file).size);
  } catch {
    response.writeHead(404).end();
    return;
  }
  // Larger reads than the default of 64 KiB, which are a third slower.
  pipeline(createReadStream(file, { highWaterMark: 256 * 1024 }), response, () => {});
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.send?.({ port: typeof address === 'object' ? address?.port : undefined });
});
process.on('SIGTERM', () => process.exit());
