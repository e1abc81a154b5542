import { createServer, type Server } from 'node:http';

/**
 * Tells whether a worker is well, to whoever supervises it: `/livez` (the process answers), `/readyz` (it takes jobs; else 503
 * and why).
 * @param problem why it does not, in words; undefined when it does
 */
export function createHealthServer(problem: () => string | undefined): Server {
  return createServer((request, response) => {
    const answer = (status: number, text: string): void => {
      response.writeHead(status, { 'Content-Type': 'text/plain', 'Cache-Control': 'no-store' }).end(`${text}\n`);
    };
    if (request.url === '/livez') return answer(200, 'alive');
    if (request.url !== '/readyz') return answer(404, 'there are /livez and /readyz');
    const why = problem();
    answer(why === undefined ? 200 : 503, why ?? 'ready');
  });
}
