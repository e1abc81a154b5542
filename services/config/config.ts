import type { Route } from './route.ts';
import type { SettingKey, ValueOf } from './settings.ts';

export type { Route } from './route.ts';

type Camel<Text extends string> = Text extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Text;

type SectionOf<Key> = Key extends `${infer Section}.${string}` ? Section : never;

type SectionValues<Section extends string> = {
  readonly [Key in SettingKey as Key extends `${Section}.${infer Name}` ? Camel<Name> : never]: ValueOf<Key>;
};

/**
 * The effective settings of one process: defaults < file < environment < flags. Frozen, all the way down. The type
 * follows from the table in `settings.ts`, where each value's meaning, limits and default stand: `proxy.header_limit`
 * there is `config.proxy.headerLimit` here. Sizes are in bytes, `…Ms` in milliseconds; a port of 0 means any free one.
 */
export type Config = {
  readonly [Section in SectionOf<SettingKey>]: SectionValues<Section>;
} & {
  /** At least one; no two with the same host and path. */
  readonly routes: readonly Route[];
  /** True: read from the origin's own settings file, so `warren proxy` runs a worker for `worker.upstream` as well. */
  readonly origin: boolean;
};

/** Where a value comes from, for error lines and `config show`. */
export type Source =
  | { readonly kind: 'default' }
  /** `key` as the file has it: the origin's file has other names. */
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly key: string }
  | { readonly kind: 'env'; readonly name: string }
  | { readonly kind: 'flag'; readonly name: string };
