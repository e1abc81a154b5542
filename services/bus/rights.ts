import { ownPrefix } from './own-keys.ts';

/**
 * What each role's broker account may do, and no more: what the role declares, publishes and consumes (`topology.ts`,
 * `../proxy/dispatcher.ts`, `../worker/worker.ts`). As RabbitMQ has permissions: regular expressions over the names of
 * exchanges and queues, and for topic exchanges over routing keys.
 *
 * - configure: to declare, and to delete. Shared exchanges and queues: the proxy, the directory and naming only
 * - write: to publish to an exchange; to bind a queue
 * - read: to consume from a queue; to bind to an exchange
 *
 * Nobody may write to `amq.default`, which reaches any queue. An exchange in `write` or `read` that is a topic exchange must have
 * its entry in `topics`: without one all its keys are free.
 *
 * What the broker cannot refuse to those who may write to one exchange and read from another, receivers do (`arrival.ts`).
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
const anyMember = 'm\\.[0-9a-f]{64}';
const chatQueue = 'chat\\.[^*#]+\\.(?:in|log)';
const anyReply = 'm\\.[^*#]+\\.reply\\.[^*#]+';

export const rights = {
  /** Makes jobs of any service, and consumes none. */
  proxy: (): Rights => ({
    configure: only('proxy\\.jobs', 'proxy\\.replies', 'proxy\\.events', 'm', 'proxy\\.jobs\\..+', ownQueue),
    write: only('proxy\\.jobs', 'proxy\\.events', 'm', 'proxy\\.jobs\\..+', ownQueue),
    read: only('proxy\\.jobs', 'proxy\\.replies', 'proxy\\.events', ownQueue),
    topics: [
      { exchange: 'proxy.events', write: only('proxy', 'cancel\\..+'), read: only('worker\\..+') },
      { exchange: 'm', write: only('m\\.[^*#]+\\.job\\.[^.*#]+'), read: nothing },
    ],
  }),
  /**
   * Takes the jobs of one service, and makes none. It cannot bind to `proxy.jobs`: the proxy has bound the service's queue.
   * @param account with which it logs in
   */
  worker: (service: string, account = `worker-${service}`): Rights => ({
    configure: only(ownQueue),
    write: only('proxy\\.replies', 'proxy\\.events', ownQueue),
    read: only('proxy\\.events', 'm', jobs(service), ownQueue),
    topics: [
      {
        exchange: 'proxy.events',
        write: only(`worker\\.${escaped(service)}`),
        read: only('proxy', `cancel\\.${escaped(service)}`),
      },
      { exchange: 'm', write: nothing, read: only(`${escaped(ownPrefix(account))}\\.job\\.[^.*#]+`) },
    ],
  }),
  demo: (): Rights => ({
    configure: only('demo\\.posts'),
    write: only('demo\\.posts'),
    read: only('demo\\.posts'),
    topics: [],
  }),
  /** Declares what members publish to and hear; answers calls, and calls members. */
  directory: (account = 'directory'): Rights => ({
    configure: only(
      ...['m', 'p2p\\.index', 'p2p\\.transfers', 'chord\\.events', 'naming\\.events', 'proxy\\.events'],
      ...['directory\\..+', 'chat', chatQueue, ownQueue],
    ),
    // To bind the queues of chats; it says nothing in them, and reads none.
    write: only('m', 'directory\\..+', chatQueue, ownQueue),
    read: only('m', 'p2p\\.index', 'p2p\\.transfers', 'directory\\..+', 'chat', ownQueue),
    topics: [
      {
        exchange: 'm',
        write: only(anyReply, `${anyMember}\\.rpc`, 'naming\\.rpc'),
        read: only('directory\\.rpc', 'directory\\.enrol', own(account)),
      },
      { exchange: 'p2p.index', write: nothing, read: any },
      { exchange: 'p2p.transfers', write: nothing, read: any },
      { exchange: 'directory.events', write: any, read: nothing },
      { exchange: 'chat', write: nothing, read: only('(?:in|log)\\.[^*#]+') },
    ],
  }),
  /** Answers calls, and tells of names. */
  naming: (): Rights => ({
    configure: only('m', 'naming\\.events', 'naming\\.rpc'),
    write: only('m', 'naming\\.events', 'naming\\.rpc'),
    read: only('m', 'naming\\.rpc'),
    topics: [
      { exchange: 'm', write: only(anyReply), read: only('naming\\.rpc') },
      { exchange: 'naming.events', write: any, read: nothing },
    ],
  }),
  /** With the tag of an administrator, over the HTTP API: makes accounts, and deletes the queues of those that it takes away. */
  accountsKeeper: (): Rights => ({ configure: only('m\\..+'), write: nothing, read: nothing, topics: [] }),
  /**
   * Calls and is called, tells of its files, its transfers and its place in the ring, and hears what all may hear. Speaks in the
   * network's chats, and reads what is said there.
   * @param id 64 hexadecimal digits
   * @param services whose jobs it may take
   * @param hosts chats that it may serve: takes what is said to them, and writes their logs
   */
  member: (
    id: string,
    { services = [], hosts = [] }: { services?: readonly string[]; hosts?: readonly string[] } = {},
  ): Rights => {
    const account = `m.${id}`;
    const hosted = hosts.map(escaped);
    const works = services.length > 0;
    const names = services.map(escaped);
    return {
      configure: only(`${escaped(account)}\\..+`, ownQueue),
      write: only(
        ...['m', 'p2p\\.index', 'p2p\\.transfers', 'chord\\.events', 'chat'],
        ...(works ? ['proxy\\.replies', 'proxy\\.events'] : []),
        ...[`${escaped(account)}\\..+`, ownQueue],
      ),
      read: only(
        ...['m', 'p2p\\.transfers', 'chord\\.events', 'proxy\\.events', 'naming\\.events', 'directory\\.events'],
        ...['chat', 'chat\\.[^*#]+\\.log', ...hosted.map(chat => `chat\\.${chat}\\.in`)],
        ...services.map(jobs),
        ...[`${escaped(account)}\\..+`, ownQueue],
      ),
      topics: [
        {
          exchange: 'm',
          write: only(
            ...['directory\\.rpc', 'naming\\.rpc', `${anyMember}\\.(?:rpc|dm${hosts.length > 0 ? '|chat' : ''})`],
            ...[`${anyMember}\\.relay\\.[^*#]+`, anyReply],
          ),
          read: only(own(account)),
        },
        { exchange: 'p2p.index', write: only(escaped(id)), read: nothing },
        { exchange: 'p2p.transfers', write: only(escaped(id)), read: any },
        { exchange: 'chord.events', write: only(escaped(id)), read: any },
        {
          exchange: 'proxy.events',
          write: works ? only(...names.map(name => `worker\\.${name}`)) : nothing,
          read: only('proxy', ...names.map(name => `cancel\\.${name}`)),
        },
        { exchange: 'naming.events', write: nothing, read: any },
        { exchange: 'directory.events', write: nothing, read: any },
        {
          exchange: 'chat',
          write: only(
            ...['in\\.[^*#]+', `live\\.${escaped(id)}\\.[^*#]+`],
            ...hosted.map(chat => `(?:log|beat)\\.${chat}`),
          ),
          // The rest is in queues that the directory has bound.
          read: only('(?:live\\.\\*|beat)\\.[^*#]+'),
        },
      ],
    };
  },
  /** Enrols, and nothing else. @param account `invite.<id>` */
  invite: (account: string): Rights => ({
    configure: only(ownQueue),
    write: only('m', ownQueue),
    read: only('m', ownQueue),
    topics: [
      {
        exchange: 'm',
        write: only('directory\\.enrol'),
        read: only(`${escaped(ownPrefix(account))}\\.reply\\.[^*#]+`),
      },
    ],
  }),
};

const nothing = '^$';
const any = '.*';

function only(...patterns: string[]): string {
  return `^(?:${patterns.join('|')})$`;
}

/** All keys of an account's own, and no wildcard that would reach beyond. */
function own(account: string): string {
  return `${escaped(ownPrefix(account))}\\.[^*#]+`;
}

/** The queue with a service's jobs. */
function jobs(service: string): string {
  return `proxy\\.jobs\\.${escaped(service)}`;
}

/** A name, and nothing that it could be a pattern for. */
function escaped(name: string): string {
  return name.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&');
}
