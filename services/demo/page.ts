import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface Page {
  readonly html: string;
  readonly etag: string;
  /** Content-Security-Policy: only the page's own style and scripts, known by their hashes. */
  readonly policy: string;
}

const styles = ['base.css', 'form.css', 'balance.css', 'messages.css'];
/** Each after those it imports from. */
const scripts = ['dom.js', 'balance.js', 'entries.js', 'messages.js', 'form.js'];

function sourceHash(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

/** One script of several modules that share their names: so that nothing is fetched, and nothing has to be bundled. */
function joined(modules: readonly string[]): string {
  const bare = modules.map(text => text.replaceAll(/^import [^;]*;\n/gm, '').replaceAll(/^export /gm, ''));
  return bare.join('\n');
}

/**
 * The one self-contained file that every replica serves: the parts in `page/`, put together. It is the same bytes on
 * all replicas, because a proxy may cache it and give it in the name of any of them.
 */
export function loadPage(): Page {
  // Browsers hash what they parsed, with line ends as LF; a Windows checkout may have CRLF.
  const read = (file: string) =>
    readFileSync(new URL(`./page/${file}`, import.meta.url), 'utf8').replaceAll('\r\n', '\n');
  const css = styles.map(read).join('\n');
  const code = joined(scripts.map(read));
  // Functions, because a replacement text would have its `$` patterns expanded.
  const html = read('index.html')
    .replace('<!-- style -->', () => `<style>${css}</style>`)
    .replace('<!-- script -->', () => `<script type="module">\n${code}</script>`);
  const policy = [
    "default-src 'none'",
    `style-src ${sourceHash(css)}`,
    `script-src ${sourceHash(`\n${code}`)}`,
    "connect-src 'self'",
    'img-src data:',
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return { html, etag: `"${createHash('sha256').update(html).digest('base64url').slice(0, 22)}"`, policy };
}
