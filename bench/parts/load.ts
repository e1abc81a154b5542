import { spawn, spawnSync } from 'node:child_process';

/** What one run of a load generator found. */
export interface Sample {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** What went wrong, in words; undefined when every request was answered with a 2xx. */
  readonly problem?: string;
}

/** Sends GETs over so many kept-alive connections, each one request at a time, from outside this process. */
export interface LoadGenerator {
  readonly describe: string;
  run(url: string, connections: number, seconds: number): Promise<Sample>;
}

/** wrk if it is installed, else autocannon (a Node program: slower, so it hides more of what is fast). */
export function chooseLoadGenerator(): LoadGenerator {
  const version = /^wrk \S+/.exec(spawnSync('wrk', ['-v'], { encoding: 'utf8' }).stdout ?? '')?.[0];
  return version === undefined ? autocannon : wrk(version);
}

function wrk(version: string): LoadGenerator {
  return {
    describe: version,
    async run(url, connections, seconds) {
      const script = `${import.meta.dirname}/load-report.lua`;
      const text = await output('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', script, url]);
      const found: Record<string, number> = JSON.parse(text.slice(text.lastIndexOf('{')));
      const { requests = 0, us = 0, p50 = 0, p99 = 0 } = found;
      return {
        requests,
        seconds: us / 1e6,
        p50Ms: p50 / 1e3,
        p99Ms: p99 / 1e3,
        ...problem({
          'not 2xx': found.status,
          'connect errors': found.connect,
          'read errors': found.read,
          'write errors': found.write,
          timeouts: found.timeout,
        }),
      };
    },
  };
}

const autocannon: LoadGenerator = {
  describe: 'autocannon',
  async run(url, connections, seconds) {
    const program = `${import.meta.dirname}/../../node_modules/autocannon/autocannon.js`;
    const text = await output(process.execPath, [program, '-c', `${connections}`, '-d', `${seconds}`, '-j', '-n', url]);
    const found: {
      requests: { total: number };
      duration: number;
      latency: { p50: number; p99: number };
      errors: number;
      timeouts: number;
      non2xx: number;
    } = JSON.parse(text.slice(text.indexOf('{')));
    return {
      requests: found.requests.total,
      seconds: found.duration,
      p50Ms: found.latency.p50,
      p99Ms: found.latency.p99,
      ...problem({ 'not 2xx': found.non2xx, errors: found.errors, timeouts: found.timeouts }),
    };
  },
};

function problem(counts: Record<string, number | undefined>): { problem?: string } {
  const found = Object.entries(counts).filter(([, count]) => count);
  return found.length === 0 ? {} : { problem: found.map(([what, count]) => `${count} ${what}`).join(', ') };
}

/** Runs it to its end, so that its CPU time is counted with our ended children's. */
function output(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    let errors = '';
    const kill = (): void => void child.kill('SIGKILL');
    process.once('exit', kill);
    child.stdout.on('data', chunk => {
      text += chunk;
    });
    child.stderr.on('data', chunk => {
      errors += chunk;
    });
    child.on('error', reject);
    child.on('close', code => {
      process.off('exit', kill);
      if (code === 0) resolve(text);
      else reject(new Error(`${command} ended with ${code}: ${errors.trim() || text.trim()}`));
    });
  });
}
