import { describeUnreadable } from './problem.ts';
import { envName, fileVariable, type SettingKey, settingKeys, settingOf } from './settings.ts';

/** What the environment says, before anything is checked against its format. */
export interface EnvironmentLayer {
  /** By the setting's variable, as convict wants it. */
  readonly texts: Record<string, string>;
  /** The variable that counts: WARREN_BROKER_URL, or WARREN_BROKER_URL_FILE. */
  readonly names: ReadonlyMap<SettingKey, string>;
  readonly problems: readonly string[];
}

/**
 * Each setting's variable, or the same with `_FILE` behind it: the name of a file that holds the value, without the blanks
 * around it; of a list also one item a line. So a password comes from a mounted secret and stays out of the environment, which children inherit and
 * `docker inspect` shows. What is set to nothing counts as not set.
 */
export function readVariables(
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
): EnvironmentLayer {
  const texts: Record<string, string> = {};
  const names = new Map<SettingKey, string>();
  const problems: string[] = [];
  for (const key of settingKeys) {
    const [name, fileName] = [envName(key), fileVariable(key)];
    let text = env[name]?.trim() ?? '';
    const path = env[fileName]?.trim() ?? '';
    if (text !== '' && path !== '') problems.push(`${name} and ${fileName} are both set: keep one of them`);
    else if (path !== '') {
      try {
        text = readFile(path).trim();
        if (settingOf(key).flag?.repeatable) text = text.replaceAll(/\s*\n\s*/g, ',');
        if (text === '') problems.push(`${fileName}: ${path} is empty`);
      } catch (error) {
        problems.push(`${fileName}: ${path} ${describeUnreadable(error)}`);
      }
    }
    if (text === '') continue;
    texts[name] = text;
    names.set(key, path === '' ? name : fileName);
  }
  return { texts, names, problems };
}
