import { AmqpError } from '../amqp/error.ts';

/** As RabbitMQ has them: regular expressions over resource names, matched anywhere unless anchored; '' allows nothing. */
export interface Permission {
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

/** Over routing keys of one topic exchange; an exchange without an entry is not restricted. */
export interface TopicPermission {
  readonly exchange: string;
  readonly write: string;
  readonly read: string;
}

export type Right = 'configure' | 'write' | 'read';

const answersKept = 10_000;

/** What one account may do, compiled. */
export class Rights {
  readonly user: string;
  readonly #patterns: Readonly<Record<Right, RegExp>>;
  readonly #topics: ReadonlyMap<string, { readonly write: RegExp; readonly read: RegExp }>;
  /** Answers given, by resource. */
  readonly #known: Readonly<Record<Right, Map<string, boolean>>> = {
    configure: new Map(),
    write: new Map(),
    read: new Map(),
  };

  constructor(user: string, permission: Permission, topics: readonly TopicPermission[]) {
    this.user = user;
    this.#patterns = {
      configure: compile(permission.configure),
      write: compile(permission.write),
      read: compile(permission.read),
    };
    this.#topics = new Map(
      topics.map(({ exchange, write, read }) => [
        exchange,
        // `{username}` and `{vhost}` stand for the account's (RabbitMQ, "Topic Authorisation").
        { write: compile(filled(write, user)), read: compile(filled(read, user)) },
      ]),
    );
  }

  may(right: Right, resource: string): boolean {
    const answers = this.#known[right];
    const known = answers.get(resource);
    if (known !== undefined) return known;
    // The default exchange goes by this name in permissions.
    const allowed = this.#patterns[right].test(resource === '' ? 'amq.default' : resource);
    if (answers.size >= answersKept) answers.clear();
    answers.set(resource, allowed);
    return allowed;
  }

  /** @throws AmqpError 403 */
  check(right: Right, kind: 'queue' | 'exchange', name: string): void {
    if (this.may(right, name)) return;
    const what = kind === 'exchange' && name === '' ? "exchange 'amq.default'" : `${kind} '${name}'`;
    throw new AmqpError(403, `${right} access to ${what} in vhost '/' refused for user '${this.user}'`);
  }

  /** @throws AmqpError 403 */
  checkTopic(right: 'write' | 'read', exchange: string, key: string): void {
    const topic = this.#topics.get(exchange);
    if (!topic || topic[right].test(key)) return;
    throw new AmqpError(
      403,
      `${right} access to topic '${key}' in exchange '${exchange}' in vhost '/' refused for user '${this.user}'`,
    );
  }
}

/** @throws AmqpError never; a pattern that is no regular expression is refused when it is set */
function compile(pattern: string): RegExp {
  return pattern === '' ? /^$/ : new RegExp(pattern);
}

function filled(pattern: string, user: string): string {
  return pattern.replaceAll('{username}', user.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).replaceAll('{vhost}', '/');
}

/** A pattern as somebody gives it. @returns what is wrong with it, or undefined */
export function patternProblem(pattern: string): string | undefined {
  try {
    compile(pattern);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
