import type { NameChanged, NameRecord } from '../../proto/gen/warren/naming/v1/naming.ts';
import { loadConfig } from '../config/load.ts';
import { dialable } from '../lib/dialable.ts';
import { Failure } from '../lib/failure.ts';
import type { RestNamingClient } from '../naming/rest-client.ts';
import type { Command } from './command.ts';
import type { Io } from './io.ts';
import { loadOptions } from './settings-file.ts';

interface Asked {
  readonly client: RestNamingClient;
  readonly name: string;
  readonly isJson: boolean;
  readonly io: Io;
  readonly stop: AbortSignal;
}

/** Asks the naming at `naming.host` and `naming.port`, over REST. */
function namesCommand(word: string, summary: string, usage: string, act: (asked: Asked) => Promise<void>): Command {
  return {
    name: `names ${word}`,
    summary,
    usage: `${usage}[flags]`,
    settings: 'names',
    options: [{ flag: '--json', doc: 'as JSON, one value a line' }],
    async run(argv, stop, io) {
      const flags = argv.filter(argument => argument !== '--json');
      const [first] = flags;
      const given = usage !== '' && first?.startsWith('-') === false ? first : undefined;
      const { naming } = loadConfig(loadOptions('names', given === undefined ? flags : flags.slice(1), io));
      const { restNamingClient } = await import('../naming/rest-client.ts');
      const { mistakeInName } = await import('../naming/methods.ts');
      if (usage.startsWith('NAME') && given === undefined)
        throw new Failure('CONFIG', `which name? warren names ${word} NAME`);
      const mistake = given === undefined ? undefined : mistakeInName(given);
      if (mistake !== undefined) throw new Failure('CONFIG', `${JSON.stringify(given)} ${mistake}`);
      const client = restNamingClient(`http://${dialable(naming.host)}:${naming.port}`);
      await act({ client, name: given ?? '', isJson: argv.length > flags.length, io, stop });
    },
  };
}

export const namesList = namesCommand('list', 'show all names, and who serves them', '', async asked => {
  const { client, isJson, io, stop } = asked;
  let after = '';
  let isEmpty = true;
  do {
    const { records, next } = await client.list({ after }, { signal: stop });
    for (const record of records) io.out(isJson ? line(record) : `${formatRecord(record)}\n`);
    isEmpty &&= records.length === 0;
    after = next;
  } while (after !== '');
  if (isEmpty && !isJson) io.out('no names\n');
});

export const namesResolve = namesCommand(
  'resolve',
  'show who serves a name, and who could',
  'NAME ',
  async ({ client, name, isJson, io, stop }) => {
    const { record } = await client.resolve({ name }, { signal: stop });
    if (record === undefined) return;
    io.out(isJson ? line(record) : `${formatRecord(record)}\n${record.latents.map(formatLatent).join('')}`);
  },
);

export const namesWatch = namesCommand(
  'watch',
  'show a name, or all, and each change as it comes',
  '[NAME] ',
  async ({ client, name, isJson, io, stop }) => {
    for await (const change of client.watch(name, stop)) io.out(isJson ? line(change) : formatChange(change));
    if (!stop.aborted) throw new Failure('NAMING_ENDED', 'naming has ended');
  },
);

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

function formatChange({ kind, record }: NameChanged): string {
  return record === undefined ? '' : `${kind.padEnd(9)}  ${formatRecord(record)}\n`;
}

function formatRecord({ name, memberId, addresses, epoch, leaseLeftMs, latentCount }: NameRecord): string {
  const latents = `${latentCount} ${latentCount === 1 ? 'latent' : 'latents'}`;
  if (epoch === 0) return `${name}  nobody serves it, ${latents}`;
  const where = addresses.length === 0 ? 'over the broker' : addresses.join(' ');
  const lease = leaseLeftMs > 0 ? '' : ', not heard of';
  return `${name}  epoch ${epoch}, ${memberId.slice(0, 12)} ${where}${lease}, ${latents}`;
}

function formatLatent({ memberId, addresses, logOffset, isDraining }: NameRecord['latents'][number]): string {
  const where = addresses.length === 0 ? 'over the broker' : addresses.join(' ');
  return `  latent  ${memberId.slice(0, 12)} ${where}, log up to ${logOffset}${isDraining ? ', takes no hand-over' : ''}\n`;
}
