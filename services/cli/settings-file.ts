import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { LoadOptions } from '../config/load.ts';
import type { CommandName } from '../config/setting.ts';
import type { Io } from './io.ts';

/** Read from the working directory if it is there; `config init` writes it. */
export const DEFAULT_FILE = 'warren.ini';

/** What a command's settings are loaded from. */
export function loadOptions(command: CommandName, argv: readonly string[], io: Io): LoadOptions {
  return {
    command,
    argv,
    env: io.env,
    readFile: path => readFileSync(resolve(io.cwd, path), 'utf8'),
    defaultFile: DEFAULT_FILE,
  };
}
