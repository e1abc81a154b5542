import { Intake, type IntakePorts, type IntakeSteps } from './intake.ts';
import type { ServerEffect, ServerEvent } from './server-events.ts';

/** The channel on which the input is consumed, one at a time, with what came over it. */
export class InputChannel {
  readonly #ports: Pick<IntakePorts, 'state' | 'isAuthentic' | 'rate'>;
  readonly #emit: (effect: ServerEffect) => void;
  readonly #steps: IntakeSteps;
  /** Counts them. */
  #channel = 0;
  #isOpen = false;
  #intake: Intake;

  constructor(
    ports: Pick<IntakePorts, 'state' | 'isAuthentic' | 'rate'>,
    emit: (effect: ServerEffect) => void,
    steps: IntakeSteps,
  ) {
    this.#ports = ports;
    this.#emit = emit;
    this.#steps = steps;
    this.#intake = this.#newIntake();
  }

  /** Until it is closed, for whatever reason. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  get intake(): Intake {
    return this.#intake;
  }

  /** Whether an event is of the channel that is open. */
  isOf({ channel }: Extract<ServerEvent, { kind: 'delivery' | 'channel-closed' }>): boolean {
    return this.#isOpen && channel === this.#channel;
  }

  open(): void {
    this.#channel++;
    this.#isOpen = true;
    this.#intake = this.#newIntake();
    this.#emit({ kind: 'consume', channel: this.#channel });
  }

  close(): void {
    this.#emit({ kind: 'close', channel: this.#channel });
  }

  closed(): void {
    this.#isOpen = false;
  }

  /** Whatever it holds is in the queue again, or in the log. */
  purge(): void {
    const { unacked } = this.#intake;
    this.#intake = this.#newIntake();
    if (unacked > 0) this.#emit({ kind: 'purge', count: unacked });
  }

  #newIntake(): Intake {
    const channel = this.#channel;
    return new Intake(
      {
        ...this.#ports,
        append: entry => this.#emit({ kind: 'append', entry }),
        ack: tag => this.#emit({ kind: 'ack', channel, tag }),
        say: line => this.#emit({ kind: 'say', line }),
      },
      this.#steps,
    );
  }
}
