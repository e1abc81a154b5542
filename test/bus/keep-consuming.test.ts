import { onTestFinished, test } from 'vitest';
import type { Bus, BusState, Consumer } from '../../services/bus/bus.ts';
import { keepConsuming } from '../../services/bus/keep-consuming.ts';
import { createAuthority } from '../../services/lib/identity/authority.ts';
import { Revocations } from '../../services/member/revocations.ts';
import { until } from '../support/until.ts';

const consumer: Consumer = { close: async () => {} };

test('what was refused on a connection that stays is tried again on it', async () => {
  const bus = { state: 'up', onState: () => () => {} } as unknown as Bus;
  let tries = 0;
  const kept = keepConsuming(bus, async () => {
    if (++tries < 3) throw new Error('404');
    return consumer;
  });
  onTestFinished(() => kept.close());
  await until(
    () => tries,
    seen => seen === 3,
  );
});

test('revocations are heard from a broker that refused us at first', async () => {
  const listeners = new Set<(state: BusState) => void>();
  let heard = 0;
  let state: BusState = 'connecting';
  const bus = {
    get state() {
      return state;
    },
    onState: (listener: (state: BusState) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    consume: async () => {
      if (state !== 'up') throw new Error('refused user');
      heard++;
      return consumer;
    },
    request: () => new Promise(() => {}),
  } as unknown as Bus;
  const revocations = new Revocations({
    ...{ bus, authorityCertificate: (await createAuthority(Date.now())).certificate, warn: () => {} },
  });
  revocations.start();
  onTestFinished(() => revocations.close());
  await new Promise(resolve => setImmediate(resolve));
  state = 'up';
  for (const listener of [...listeners]) listener(state);
  await until(
    () => heard,
    seen => seen === 1,
    3_000,
  );
});
