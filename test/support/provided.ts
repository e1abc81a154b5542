import type { LocalBroker } from '../../services/up/local-broker.ts';

/** What a global setup gives the tests of its project. */
export interface ProvidedBroker {
  /** The project's name. */
  readonly name: string;
  /** As the broker says it. */
  readonly version: string;
  /** With an administrator's account. */
  readonly url: string;
  readonly kind: LocalBroker['kind'] | 'configured';
  /** Of its HTTP API, with the same account; where there is one. */
  readonly httpUrl?: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    broker: ProvidedBroker;
    whyNoBroker: string;
  }
}
