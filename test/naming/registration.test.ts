import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { CallFailure } from '../../services/lib/rpc/call-failure.ts';
import type { NamingClient } from '../../services/naming/client.ts';
import { keepRegistered, type Standing } from '../../services/naming/registration.ts';

const addresses = ['10.0.0.1:1'];
const latent: Standing = { role: 'latent', isDraining: false, addresses, logOffset: 3 };
const active: Standing = { role: 'active', epoch: 4, migrationId: 'm4', addresses, logOffset: 9 };

/** A naming that answers as it is told, and says what it was asked. */
function scripted(answers: Partial<Record<keyof NamingClient, () => Promise<object>>> = {}) {
  const asked: [string, object][] = [];
  const client = new Proxy({} as NamingClient, {
    get: (_, method: keyof NamingClient) => async (request: object) => {
      asked.push([method, request]);
      return (await answers[method]?.()) ?? {};
    },
  });
  return { client, asked, answers };
}

function keep(naming: ReturnType<typeof scripted>, standing: () => Standing | undefined, more: object = {}) {
  const kept = keepRegistered(
    { client: naming.client, standing, ...more },
    { name: 'backend.com', memberId: '', renewMs: 1_000_000 },
  );
  onTestFinished(() => kept.close());
  return kept;
}

const methodsOf = ({ asked }: ReturnType<typeof scripted>): string[] => asked.map(([method]) => method);

describe('a server', () => {
  test('registers, renews while nothing has changed, registers what has, and leaves', async () => {
    const naming = scripted();
    let now: Standing = latent;
    const kept = keep(naming, () => now);
    await kept.tell();
    now = { ...latent, logOffset: 4, isDraining: true };
    await kept.tell();
    now = active;
    await kept.tell();
    now = { ...active, addresses: [] };
    await kept.tell();
    await kept.close();
    await kept.tell();
    expect(methodsOf(naming)).toEqual(['registerLatent', 'renew', 'renew', 'register', 'register', 'leave']);
    expect(naming.asked[2]?.[1]).toMatchObject({ name: 'backend.com', epoch: 0, logOffset: 4, isDraining: true });
    expect(naming.asked[3]?.[1]).toMatchObject({ epoch: 4, migrationId: 'm4', addresses, logOffset: 9 });
  });

  test('registers at once when naming has forgotten it', async () => {
    const naming = scripted();
    const kept = keep(naming, () => active);
    await kept.tell();
    naming.answers.renew = () => Promise.reject(new CallFailure('NOT_FOUND', 'NAMING_UNREGISTERED', 'who?'));
    await kept.tell();
    expect(methodsOf(naming)).toEqual(['register', 'renew', 'renew', 'register']);
  });

  test('hears of another holder, and tries again what failed', async () => {
    const naming = scripted();
    const heard: string[] = [];
    const told = (of: string) => (failure: CallFailure) => heard.push(`${of} ${failure.code}`);
    naming.answers.register = () => Promise.reject(new CallFailure('UNAVAILABLE', 'NAMING_STORE', 'later'));
    const kept = keep(naming, () => active, { onFailure: told('failed'), onSuperseded: told('superseded') });
    await kept.tell();
    naming.answers.register = () => Promise.reject(new CallFailure('ABORTED', 'NAMING_EPOCH', 'no'));
    await kept.tell();
    expect(heard.slice(-2)).toEqual(['failed NAMING_STORE', 'superseded NAMING_EPOCH']);
    delete naming.answers.register;
    await kept.tell();
    expect(methodsOf(naming).every(method => method === 'register')).toBe(true);
  });

  test('that has nothing to say says nothing, and does not leave what it never joined', async () => {
    const naming = scripted();
    const kept = keep(naming, () => undefined);
    await kept.tell();
    await kept.close();
    expect(naming.asked).toEqual([]);
  });

  test('renews by itself, one call at a time', async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const naming = scripted();
    const kept = keepRegistered(
      { client: naming.client, standing: () => latent },
      { name: 'backend.com', memberId: '', renewMs: 1_000 },
    );
    await vi.advanceTimersByTimeAsync(3_500);
    expect(methodsOf(naming)).toEqual(['registerLatent', 'renew', 'renew', 'renew']);
    const answer = Promise.withResolvers<object>();
    naming.answers.renew = () => answer.promise;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(methodsOf(naming)).toHaveLength(5);
    answer.resolve({});
    await kept.close();
  });
});
