import type { Read } from '../../../services/chat/core/chat-log.ts';
import type { ClientEffect, ClientOptions } from '../../../services/chat/core/client-events.ts';
import type { Logged } from '../../../services/chat/core/entry.ts';
import type { LogRule } from '../../../services/chat/core/rule.ts';
import type { ServerEffect, ServerOptions } from '../../../services/chat/core/server-events.ts';
import type { ServerSteps } from '../../../services/chat/core/server-ports.ts';
import type { EventQueue } from '../../chord/simulation/event-queue.ts';
import type { ModelBroker } from './model-broker.ts';
import type { ModelNaming } from './model-naming.ts';
import type { ModelProcess } from './model-process.ts';

/** One change of what is right: the simulator has to find each. */
export interface Mutation {
  readonly rule?: Partial<LogRule>;
  readonly steps?: Partial<ServerSteps>;
  /** Leaves the channel open when it is to close it. */
  readonly cancels?: boolean;
}

/** What it shares with the others. */
export interface World {
  readonly queue: EventQueue;
  readonly broker: ModelBroker;
  readonly naming: ModelNaming;
  readonly random: () => number;
  readonly server: Omit<ServerOptions, 'isFounder'>;
  readonly client: ClientOptions;
  readonly mutation: Mutation;
  readonly others: () => readonly ModelProcess[];
  readonly say: (text: () => string) => void;
  /** A chance to strike just after that. */
  readonly hazard: (process: ModelProcess, effect: ServerEffect | ClientEffect) => void;
  readonly onRead: (process: ModelProcess, logged: Logged, read: Read) => void;
  readonly onShown: (process: ModelProcess, seq: number, logged: Logged) => void;
  readonly onCut: (process: ModelProcess, fromSeq: number, toSeq: number) => void;
  readonly onSaid: (process: ModelProcess, line: string) => void;
  readonly onOutcome: (process: ModelProcess, effect: ClientEffect) => void;
}
