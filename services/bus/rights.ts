/**
 * What each role's broker account may do, and no more: what the role declares, publishes and consumes (`topology.ts`,
 * `../proxy/dispatcher.ts`, `../worker/worker.ts`). As RabbitMQ has permissions: regular expressions over the names of
 * exchanges and queues, and for topic exchanges over routing keys.
 *
 * - configure: to declare, which every role does on every connection
 * - write: to publish to an exchange; to bind a queue
 * - read: to consume from a queue; to bind to an exchange
 *
 * Nobody may write to `amq.default`, which reaches any queue.
 */
export interface Rights {
  readonly configure: string;
  readonly write: string;
  readonly read: string;
  readonly topics: readonly TopicRights[];
}

export interface TopicRights {
  readonly exchange: string;
  readonly write: string;
  readonly read: string;
}

/** Named by the server, unguessable, exclusive: whoever could name it could still not touch another connection's. */
const ownQueue = 'amq\\.gen-.+';

const declared = ['proxy\\.jobs', 'proxy\\.replies', 'proxy\\.events', 'm'];

const workersKey = 'm\\.[^.]+\\.job';

export const rights = {
  /** Makes jobs of any service, and consumes none. */
  proxy: (): Rights => ({
    configure: only(...declared, 'proxy\\.jobs\\..+', ownQueue),
    write: only('proxy\\.jobs', 'proxy\\.events', 'm', 'proxy\\.jobs\\..+', ownQueue),
    read: only('proxy\\.jobs', 'proxy\\.replies', 'proxy\\.events', ownQueue),
    topics: [
      { exchange: 'proxy.events', write: only('proxy', 'cancel\\..+'), read: only('worker\\..+') },
      { exchange: 'm', write: only(workersKey), read: nothing },
    ],
  }),
  /**
   * Takes the jobs of one service, and makes none. `proxy.jobs` is no topic exchange, so the broker cannot keep it from
   * binding its own queue to another service's key as well: for that, publish each service over a virtual host of its own.
   */
  worker: (service: string): Rights => ({
    configure: only(...declared, `proxy\\.jobs\\.${escaped(service)}`, ownQueue),
    write: only('proxy\\.replies', 'proxy\\.events', `proxy\\.jobs\\.${escaped(service)}`, ownQueue),
    read: only('proxy\\.jobs', 'proxy\\.events', 'm', `proxy\\.jobs\\.${escaped(service)}`, ownQueue),
    topics: [
      {
        exchange: 'proxy.events',
        write: only(`worker\\.${escaped(service)}`),
        read: only('proxy', `cancel\\.${escaped(service)}`),
      },
      { exchange: 'm', write: nothing, read: only(workersKey) },
    ],
  }),
  demo: (): Rights => ({
    configure: only('demo\\.posts'),
    write: only('demo\\.posts'),
    read: only('demo\\.posts'),
    topics: [],
  }),
};

const nothing = '^$';

function only(...patterns: string[]): string {
  return `^(?:${patterns.join('|')})$`;
}

/** A service's name has nothing else that a pattern would take for its own. */
function escaped(service: string): string {
  return service.replaceAll('.', '\\.');
}
