import { routeFields } from './route.ts';
import { defaultText, envName, settingKeys, settingOf } from './settings.ts';

/** The settings as a table in Markdown, for the documentation. */
export function formatReference(): string {
  const rows = settingKeys.map(key => {
    const { doc, flag } = settingOf(key);
    const names = [
      key === 'routes' ? '`[route.NAME]`' : code(key),
      code(envName(key)),
      flag ? code(`--${flag.name}`) : '',
    ];
    return `| ${[...names, code(defaultText(key, 'config')), doc].join(' | ')} |`;
  });
  const fields = Object.entries(routeFields).map(
    ([name, field]) => `| ${[code(name), code(name === 'service' ? 'NAME' : field.default), field.doc].join(' | ')} |`,
  );
  return [
    '| in the file | environment | flag | default | |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    '| in `[route.NAME]` | default | |',
    '|---|---|---|',
    ...fields,
    '',
  ].join('\n');
}

function code(text: string): string {
  return text === '' ? '' : `\`${text}\``;
}
