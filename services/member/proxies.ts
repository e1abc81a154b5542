import type { ProxyStatus } from '../../proto/gen/warren/member/v1/member.ts';
import { ProxyAnnounce } from '../../proto/gen/warren/proxy/v1/job.ts';
import type { Delivery } from '../bus/bus.ts';
import { LeaseTable } from '../lib/lease.ts';

/** Anybody whom the broker lets announce a proxy can announce many. */
const proxiesAtOnce = 64;
const longestLeaseMs = 60_000;

/** The proxies that live, from what they announce. Times in milliseconds, monotonic. */
export class ProxyTable {
  readonly #leases = new LeaseTable();
  readonly #figures = new Map<string, ProxyStatus>();

  /** @returns whether anything changed */
  heard({ type, body }: Pick<Delivery, 'type' | 'body'>, now: number): boolean {
    if (type !== 'warren.proxy.v1.ProxyAnnounce') return false;
    let announced: ProxyAnnounce;
    try {
      announced = ProxyAnnounce.decode(body);
    } catch {
      return false;
    }
    const { proxy, figures, leaseMs, leaving } = announced;
    if (leaving) {
      this.#leases.end(proxy);
      return this.#figures.delete(proxy);
    }
    if (proxy === '' || proxy.length > 64 || (!this.#figures.has(proxy) && this.#figures.size >= proxiesAtOnce))
      return false;
    this.#leases.renew(proxy, Math.min(leaseMs, longestLeaseMs), now);
    this.#figures.set(proxy, { proxy, figures });
    return true;
  }

  /** @returns whether any is gone */
  expire(now: number): boolean {
    const gone = this.#leases.expire(now);
    for (const proxy of gone) this.#figures.delete(proxy);
    return gone.length > 0;
  }

  all(): ProxyStatus[] {
    return [...this.#figures.values()].sort((a, b) => (a.proxy < b.proxy ? -1 : 1));
  }
}
