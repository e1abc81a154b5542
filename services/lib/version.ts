import { existsSync, readFileSync } from 'node:fs';

/** The package's version. Its file stands above this one: by two folders in the sources, by three when compiled. */
export function readVersion(): string {
  const places = ['../../package.json', '../../../package.json'].map(path => new URL(path, import.meta.url));
  const found = places.find(place => existsSync(place));
  const manifest: unknown = found === undefined ? undefined : JSON.parse(readFileSync(found, 'utf8'));
  const known = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return known ? String(manifest.version) : 'unknown';
}
