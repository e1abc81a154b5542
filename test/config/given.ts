import { type Loaded, loadSettings } from '../../services/config/load.ts';
import type { CommandName } from '../../services/config/setting.ts';
import { Failure } from '../../services/lib/failure.ts';

export interface Given {
  readonly command?: CommandName;
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Texts by path; warren.ini is read unless --config names another. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Loads settings from nothing but what is given. */
export function load({ command = 'proxy', argv = [], env = {}, files = {} }: Given = {}): Loaded {
  const readFile = (path: string): string => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error(`ENOENT: no such file, open '${path}'`), { code: 'ENOENT' });
    return text;
  };
  return loadSettings({ command, argv, env, readFile, defaultFile: 'warren.ini' });
}

/** The error line that loading ends with; it must be a Failure CONFIG, and a single line. */
export function errorOf(given: Given): string {
  try {
    load(given);
  } catch (error) {
    if (error instanceof Failure && error.code === 'CONFIG' && !/[\r\n]/.test(error.message)) return error.message;
    throw error;
  }
  throw new Error('loading succeeded');
}
