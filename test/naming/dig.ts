import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Dug {
  readonly status: string;
  /** As dig prints them: `qr aa rd`. */
  readonly flags: string;
  /** Lines of each section, blanks made one. */
  readonly answer: string[];
  readonly authority: string[];
  readonly additional: string[];
  /** The whole output. */
  readonly text: string;
}

/** Asks with the real `dig` of bind9-dnsutils. @param more `+tcp`, `+noedns`, … */
export async function dig(port: number, name: string, type: string, ...more: string[]): Promise<Dug> {
  const flags = ['+tries=1', '+time=3', '+norecurse', ...more];
  const { stdout: text } = await run('dig', ['@127.0.0.1', '-p', String(port), ...flags, '-t', type, '-q', name]);
  const section = (title: string): string[] => {
    const [, body = ''] = new RegExp(`;; ${title} SECTION:\\n([\\s\\S]*?)\\n\\n`).exec(text) ?? [];
    return body
      .split('\n')
      .filter(line => line !== '')
      .map(line => line.replaceAll(/\s+/g, ' '));
  };
  return {
    status: /status: (\w+)/.exec(text)?.[1] ?? '',
    flags: /;; flags: ([a-z ]*);/.exec(text)?.[1] ?? '',
    answer: section('ANSWER'),
    authority: section('AUTHORITY'),
    additional: section('ADDITIONAL'),
    text,
  };
}

/** Told once, where it is not installed. */
export const hasDig = spawnSync('dig', ['-v'], { timeout: 5_000 }).error === undefined;
if (!hasDig) console.log("skipped: Debian's dig is not installed here (apt-get install bind9-dnsutils)");
