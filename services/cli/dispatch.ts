import { nearest } from '../config/nearest.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import type { Command } from './command.ts';
import { formatHelp, formatOverview } from './help.ts';
import type { Io } from './io.ts';
import { visible } from './visible.ts';

export interface Program {
  readonly commands: readonly Command[];
  readonly version: () => string;
}

/**
 * Runs the command that `argv` asks for, until it has done or `stop` is aborted. Errors are told on `io.err`, never
 * thrown.
 * @returns the exit code: 0; 2 for what the user typed or configured (a `Failure` CONFIG); what the command says of its failures; 1 for
 *   anything else
 */
export async function dispatch(program: Program, argv: readonly string[], stop: AbortSignal, io: Io): Promise<number> {
  try {
    await run(program, argv, stop, io);
    return 0;
  } catch (error) {
    io.err(describeError(error, io.env.WARREN_DEBUG === '1'));
    return error instanceof Failure ? exitOf(program, argv, error.code) : 1;
  }
}

function exitOf({ commands }: Program, argv: readonly string[], failure: string): number {
  if (failure === 'CONFIG') return 2;
  const command = commands.find(({ name }) => name === argv.slice(0, name.split(' ').length).join(' '));
  return command?.exits?.find(({ failures }) => failures.includes(failure))?.code ?? 1;
}

async function run(program: Program, argv: readonly string[], stop: AbortSignal, io: Io): Promise<void> {
  const [first, ...rest] = argv;
  if (first === undefined || isHelp(first)) return io.out(formatOverview(program.commands));
  if (first === '--version' || first === '-V') return io.out(`warren ${program.version()}\n`);
  if (first === 'help') return help(program, rest, io);
  const group = program.commands.filter(({ name }) => name.startsWith(`${first} `));
  const alone = program.commands.find(({ name }) => name === first);
  if (group.length > 0 && (rest[0] === undefined ? alone === undefined : isHelp(rest[0]))) {
    if (rest.length > 0) return io.out((alone === undefined ? '' : `${formatHelp(alone)}\n`) + formatOverview(group));
    throw new Failure('CONFIG', `warren ${first} needs a second word: ${secondWords(first, group)}`);
  }
  const { command, behind } = find(program, argv);
  if (behind.some(isHelp)) return io.out(formatHelp(command));
  await command.run(behind, stop, io);
}

function help(program: Program, words: readonly string[], io: Io): void {
  const asked = words.join(' ');
  const found = program.commands.find(({ name }) => name === asked);
  const group = program.commands.filter(({ name }) => name.startsWith(`${asked} `));
  if (asked === '') io.out(formatOverview(program.commands));
  else if (found !== undefined) io.out(formatHelp(found));
  else if (group.length > 0) io.out(formatOverview(group));
  else throw unknownCommand(program, asked);
}

function secondWords(first: string, group: readonly Command[]): string {
  const few = group.length <= 4;
  const names = group.map(({ name }) => (few ? name : name.slice(first.length + 1)));
  return few ? names.join(' or ') : `${names.join(', ')} (see warren ${first} --help)`;
}

/** Two words (`config init`) go before one. */
function find(program: Program, argv: readonly string[]): { command: Command; behind: readonly string[] } {
  for (const words of [2, 1]) {
    const command = program.commands.find(({ name }) => name === argv.slice(0, words).join(' '));
    if (command !== undefined) return { command, behind: argv.slice(words) };
  }
  const [first = '', second = ''] = argv;
  if (first.startsWith('-'))
    throw new Failure('CONFIG', `${first.replace(/=.*/s, '')} stands before a command (see warren --help)`);
  const group = program.commands.some(({ name }) => name.startsWith(`${first} `));
  throw unknownCommand(program, group ? `${first} ${second}` : first);
}

function unknownCommand(program: Program, words: string): Failure {
  const names = program.commands.map(({ name }) => name);
  // A slip in the first of two words: what was meant for the second is not known.
  const near = nearest(words, words.includes(' ') ? names : names.map(name => name.replace(/ .*/, '')));
  const hint = near === undefined ? ' (see warren --help)' : `; did you mean warren ${near}?`;
  return new Failure('CONFIG', `unknown command ${JSON.stringify(words)}${hint}`);
}

function isHelp(argument: string): boolean {
  return argument === '--help' || argument === '-h';
}

/** An error for the user: a line, and only with `debug` where it comes from. */
export function describeError(error: unknown, debug: boolean): string {
  const bug = error instanceof Failure ? '' : 'unexpected error: ';
  const hint = debug || bug === '' ? '' : ' (WARREN_DEBUG=1 tells where)';
  return `warren: ${bug}${visible(messageOf(error))}${hint}\n${debug ? `${traceOf(error)}\n` : ''}`;
}

function traceOf(error: unknown): string {
  if (!(error instanceof Error)) return visible(String(error));
  const cause = error.cause === undefined ? '' : `\ncaused by ${traceOf(error.cause)}`;
  return `${(error.stack ?? error.message).split('\n').map(visible).join('\n')}${cause}`;
}
