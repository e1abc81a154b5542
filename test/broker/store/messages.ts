import type { StoredMessage } from '../../../services/broker/store/ledger.ts';

/** A message like any other, but for what is given. */
export function messageWith(given: Partial<StoredMessage> = {}): StoredMessage {
  return {
    exchange: 'jobs',
    key: 'web',
    properties: Buffer.from('properties'),
    body: Buffer.from('body'),
    expiresAt: undefined,
    ...given,
  };
}

export function numbered(i: number): StoredMessage {
  return messageWith({ body: Buffer.from(`message ${i}`) });
}
