import { get, request } from 'node:http';
import { WebSocket } from 'ws';
import { type Rate, rateOf } from './rate.ts';

/** What the measuring process is told to do, over its IPC channel, and what it says. */
export type StreamCommand = BytesCommand | MessagesCommand;

export interface BytesCommand {
  readonly kind: 'down' | 'up';
  readonly url: string;
  readonly mebibytes: number;
  readonly atOnce: number;
}

export interface MessagesCommand {
  readonly kind: 'events' | 'echo';
  readonly url: string;
  readonly seconds: number;
  readonly inFlight: number;
}

const block = Buffer.alloc(64 * 1024, 'x');

function down(url: string, mebibytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    get(`${url}/bytes?mib=${mebibytes}`, { agent: false }, response => {
      let bytes = 0;
      response.on('data', chunk => {
        bytes += chunk.length;
      });
      response.on('end', () =>
        bytes === mebibytes * 2 ** 20 ? resolve() : reject(new Error(`${response.statusCode}: ${bytes} bytes came`)),
      );
      response.on('error', reject);
    }).on('error', reject);
  });
}

function up(url: string, mebibytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-length': mebibytes * 2 ** 20 };
    const upload = request(url, { method: 'POST', agent: false, headers }, response => {
      response
        .resume()
        .on('end', () => (response.statusCode === 200 ? resolve() : reject(new Error(`${response.statusCode}`))));
    });
    upload.on('error', reject);
    let left = mebibytes * 16;
    const more = (): void => {
      while (left-- > 0) if (!upload.write(block)) return void upload.once('drain', more);
      upload.end();
    };
    more();
  });
}

async function bytes({ kind, url, mebibytes, atOnce }: Extract<StreamCommand, { atOnce: number }>): Promise<Rate> {
  const startedAt = performance.now();
  const each = mebibytes / atOnce;
  await Promise.all(Array.from({ length: atOnce }, () => (kind === 'down' ? down(url, each) : up(url, each))));
  return { perSecond: mebibytes / ((performance.now() - startedAt) / 1000), p50Ms: 0, p99Ms: 0 };
}

/** The clock is the machine's own, which all its processes share. */
function events(url: string, seconds: number): Promise<Rate> {
  return new Promise((resolve, reject) => {
    const delays: number[] = [];
    const stream = get(`${url}/events`, { agent: false }, response => {
      response.on('data', chunk => {
        const now = process.hrtime.bigint();
        for (const [, said] of String(chunk).matchAll(/data: (\d+)/g))
          delays.push(Number(now - BigInt(said ?? 0)) / 1e6);
      });
      setTimeout(() => {
        stream.destroy();
        // Without those of the warm-up.
        resolve(rateOf(delays.slice(20), seconds));
      }, seconds * 1000);
    });
    stream.on('error', reject);
  });
}

async function echo(url: string, seconds: number, inFlight: number): Promise<Rate> {
  const socket = new WebSocket(url.replace('http', 'ws'), { perMessageDeflate: false });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const times: number[] = [];
  const sent: number[] = [];
  const message = Buffer.alloc(1024, 'x');
  const endsAt = performance.now() + seconds * 1000;
  await new Promise<void>(resolve => {
    const say = (): void => {
      sent.push(performance.now());
      socket.send(message);
    };
    socket.on('message', () => {
      times.push(performance.now() - (sent.shift() ?? 0));
      if (performance.now() < endsAt) say();
      else if (sent.length === 0) resolve();
    });
    for (let i = 0; i < inFlight; i++) say();
  });
  socket.close();
  return rateOf(times, seconds);
}

function messages({ kind, url, seconds, inFlight }: MessagesCommand): Promise<Rate> {
  return kind === 'events' ? events(url, seconds) : echo(url, seconds, inFlight);
}

process.on('message', (command: StreamCommand) => {
  const measured = 'atOnce' in command ? bytes(command) : messages(command);
  measured.then(
    result => process.send?.(result),
    error => process.send?.({ problem: String(error) }),
  );
});
process.send?.('ready');
