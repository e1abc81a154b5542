import convict from 'convict';
import type { CommandName } from './setting.ts';
import { envName, settingKeys, settingOf } from './settings.ts';

/** What is wrong with the value of one setting. */
export interface InvalidValue {
  readonly key: string;
  /** "must be …" */
  readonly message: string;
  /** The value as JSON; undefined where it is empty, or may hold a password. */
  readonly value: string | undefined;
}

/**
 * The settings' table as a convict configuration that knows its defaults and its part of the environment. It looks at
 * nothing but its arguments.
 */
export function createConvict(
  command: CommandName,
  env: Record<string, string>,
): convict.Config<Record<string, unknown>> {
  const schema: Record<string, unknown> = {};
  for (const key of settingKeys) {
    const row = settingOf(key);
    // One format per setting and not one per type: convict's coercion is by a format's name, and its own ones turn
    // "80x" into 80 and "maybe" into true.
    const format = `warren ${key}`;
    convict.addFormat({
      name: format,
      // What does not parse stays text, so that validate() reports it with all the others.
      coerce: (text: string) => attempt(() => row.format.parse(text), text),
      validate: (value: unknown) => {
        if (typeof value === 'string') row.format.parse(value);
      },
    });
    const fallback = row.defaultFor?.[command] ?? row.default;
    const [section = '', name] = key.split('.');
    const leaf = { doc: row.doc, default: fallback, format, env: envName(key), sensitive: row.sensitive !== undefined };
    if (name === undefined) schema[section] = leaf;
    else schema[section] = { ...(schema[section] ?? {}), [name]: leaf };
  }
  return convict(schema as convict.Schema<Record<string, unknown>>, { args: [], env });
}

function attempt<T>(work: () => T, otherwise: T | string): T | string {
  try {
    return work();
  } catch {
    return otherwise;
  }
}

/** Checks all values, in the table's order. */
export function findInvalid(config: convict.Config<Record<string, unknown>>): readonly InvalidValue[] {
  try {
    config.validate({ allowed: 'strict' });
    return [];
  } catch (error) {
    // convict reports in text only: a line each, "key: message: value was JSON".
    return (error as Error).message.split('\n').map(line => {
      const [, key = '', message = line, value] = /^([\w.]+): (.*?)(?:: value was (.*))?$/.exec(line) ?? [];
      return { key, message, value };
    });
  }
}
