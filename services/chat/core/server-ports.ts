import type { MemberId } from '../../lib/identity/member-id.ts';
import type { ChatLog } from './chat-log.ts';
import { type IntakeSteps, intakeSteps } from './intake.ts';
import type { IsAuthentic } from './rule.ts';

export interface ServerPorts {
  readonly self: MemberId;
  /** The process's reader of the log, which the server looks at and does not move. */
  readonly log: Pick<ChatLog, 'state' | 'isLost' | 'snapshot'>;
  readonly isAuthentic: IsAuthentic;
  /** In [0, 1). */
  readonly random: () => number;
  /** Unique: letters, digits, `_`, `.`, `-`, at most 64. */
  readonly newMigrationId: () => string;
}

/** How it decides, apart so that it can be seen what comes of other answers. */
export interface ServerSteps extends IntakeSteps {
  readonly writesCheckpoints: boolean;
}

export const serverSteps: ServerSteps = { ...intakeSteps, writesCheckpoints: true };
