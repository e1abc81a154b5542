import { formatIniValue } from './ini.ts';
import { routeFields } from './route.ts';
import { defaultText, envName, settingKeys, settingOf } from './settings.ts';

const head = `# Settings of Warren. What is commented out with ; is the default.
# Each can also be given in the environment, and some as a flag; a flag goes before the environment, the environment
# before this file. A variable with _FILE behind its name (WARREN_BROKER_URL_FILE) names a file that holds the value: for
# secrets. Sizes: 8MiB, 64KiB or bytes. Times (_ms): 30s, 500ms, 2m or milliseconds. Lists: with commas.
`;

const routesHead = `
# Which requests go to which service: a section for each route, [route.NAME]. An exact host goes before *, then the
# longest path. Without any, all go to the service web (and warren up stores replies for 180 s).
; [route.web]
`;

/** A settings file that changes nothing: every setting with its doc line, its default commented out. */
export function formatTemplate(): string {
  let out = head;
  let section = '';
  for (const key of settingKeys) {
    const [name = '', setting] = key.split('.');
    if (setting === undefined) continue;
    if (name !== section) out += `\n[${name}]\n`;
    section = name;
    const { doc, flag } = settingOf(key);
    const others = flag === undefined ? envName(key) : `${envName(key)}, --${flag.name}`;
    out += `# ${doc} (${others})\n${`; ${setting} = ${formatIniValue(defaultText(key, 'config'))}`.trimEnd()}\n`;
  }
  out += routesHead;
  for (const [name, field] of Object.entries(routeFields)) {
    out += `# ${field.doc}\n${`; ${name} = ${name === 'service' ? 'web' : field.default}`.trimEnd()}\n`;
  }
  return out;
}
