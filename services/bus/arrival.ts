import { type Binding, type ExchangeSpec, exchanges } from './topology.ts';

/** How a message came, as the broker says it: the exchange and the key it was published with. */
export interface Arrival {
  readonly exchange: string;
  readonly key: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

/**
 * Whether messages came to a queue by one of its bindings, at first hand. What brokers let an account do past the routing keys that
 * it may write, as long as it may write to the exchange at all, shows in the arrival, and is to be dropped:
 *
 * - its own queue dead-letters what others sent it to a key of its choice (the broker writes `x-death`)
 * - more keys in the headers `CC` and `BCC` (the key that counts for rights stays the first)
 * - an alternate exchange, a binding from exchange to exchange (the exchange stays that of the publish)
 *
 * @param bindings undefined: not known, only the first is looked for
 */
export function arrivals(bindings: readonly Binding[] | undefined): (arrival: Arrival) => boolean {
  const rules = bindings?.map(({ exchange, key }) => ({ exchange, fits: matcher(exchange, key) }));
  return ({ exchange, key, headers }) =>
    !('x-death' in headers) &&
    (rules === undefined || rules.some(rule => rule.exchange === exchange && rule.fits(key)));
}

function matcher(exchange: string, bound: string): (key: string) => boolean {
  const known: Readonly<Record<string, ExchangeSpec>> = exchanges;
  const type = known[exchange]?.type;
  if (type === 'fanout') return () => true;
  if (type !== 'topic' || !/[*#]/.test(bound)) return key => key === bound;
  const pattern = topicPattern(bound);
  // Each word with its dot before it; the empty key has no word.
  return key => pattern.test(key === '' ? '' : `.${key}`);
}

/** `*` stands for one word, `#` for any number of them. */
function topicPattern(bound: string): RegExp {
  const words = bound.split('.').map(word => {
    if (word === '*') return '\\.[^.]*';
    if (word === '#') return '(?:\\.[^.]*)*';
    return `\\.${word.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&')}`;
  });
  return new RegExp(`^${words.join('')}$`, 's');
}
