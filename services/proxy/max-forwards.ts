import { type Fields, listOf } from './fields.ts';

/** No chain is longer; what is larger counts as this (RFC 9110 §7.6.2 lets a recipient use a value of its own). */
const most = 999;

/**
 * What OPTIONS says of how far it may go (RFC 9110 §7.6.2): `answer` it here, or forward it with these fields.
 * @returns or, as text, what is wrong
 */
export function maxForwards(fields: Fields): 'answer' | { fields: Fields } | string {
  const value = listOf(fields, 'max-forwards');
  if (value === undefined) return { fields };
  if (!/^\d+$/.test(value)) return 'Max-Forwards is not a number';
  const left = Math.min(Number(value), most);
  if (left === 0) return 'answer';
  const updated = fields.map((text, i) =>
    fields[i - 1]?.toLowerCase() === 'max-forwards' && i % 2 === 1 ? String(left - 1) : text,
  );
  return { fields: updated };
}
