import { loadConfig } from '../config/load.ts';
import type { CommandName } from '../config/setting.ts';
import type { Command } from './command.ts';
import type { Run } from './io.ts';
import { loadOptions } from './settings-file.ts';

/** A command that runs a service until it is stopped. The service's code is loaded only then, and after its settings. */
export function serviceCommand(
  name: CommandName,
  summary: string,
  load: () => Promise<{ readonly run: Run }>,
): Command {
  return {
    name,
    summary,
    usage: '[flags]',
    settings: name,
    options: [],
    async run(argv, stop, io) {
      const config = loadConfig(loadOptions(name, argv, io));
      const { run } = await load();
      await run(config, stop, io);
    },
  };
}
