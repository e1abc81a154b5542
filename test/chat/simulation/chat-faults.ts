import type { ClientEffect } from '../../../services/chat/core/client-events.ts';
import type { ServerEffect } from '../../../services/chat/core/server-events.ts';
import type { RunInProgress } from './chat-run.ts';
import type { ModelProcess } from './model-process.ts';

/** What goes wrong, until so late: now and then (`strike`), and just after some effect of the machines (`hazard`). */
export function createFaults(run: RunInProgress, { leaseMs, untilMs }: { leaseMs: number; untilMs: number }) {
  const { queue, broker, naming, processes, oracle, counts, say } = run;
  const { random, chance, span, below, pick } = run.dice;
  const hazards = span(0, 0.01);
  const faultEveryMs = span(300, 4_000);
  const heartbeat = (): number => span(0.5, 1.2) * leaseMs;
  return { hazard, strike };

  function hazard(process: ModelProcess, effect: ServerEffect | ClientEffect): void {
    if (queue.now() > untilMs || effect.kind === 'mode' || effect.kind === 'say' || effect.kind === 'beat') return;
    const isStep =
      effect.kind === 'hand-over' || effect.kind === 'close' || effect.kind === 'consume' || effect.kind === 'record';
    const isEpoch = effect.kind === 'append' && effect.entry.kind === 'epoch';
    if (!chance(isStep || isEpoch ? hazards * 8 : hazards / 4)) return;
    const blow = pick([kill, kill, freeze, cut]);
    say(() => `just after ${effect.kind}:`);
    blow?.(process);
  }
  function kill(process: ModelProcess): void {
    if (!process.isRunning) return;
    counts.kills++;
    process.kill(span(0, 5), chance(0.7) ? span(0, 5) : heartbeat());
    queue.after(span(50, 4_000), () => {
      if (!process.isRunning) process.start();
      return false;
    });
  }
  function freeze(process: ModelProcess): void {
    if (process.isFrozen || !process.isRunning) return;
    counts.freezes++;
    process.freeze();
    const { connection } = process;
    queue.after(heartbeat(), () => {
      if (process.isFrozen) connection?.end();
      return false;
    });
    queue.after(chance(0.5) ? span(20, 400) : span(400, 6_000), () => {
      process.thaw();
      return false;
    });
  }
  function cut(process: ModelProcess): void {
    const { connection } = process;
    if (process.isCutOff || connection === undefined) return;
    counts.cuts++;
    say(() => `${process.name} is cut off`);
    process.isCutOff = true;
    connection.isCut = true;
    queue.after(heartbeat(), () => {
      if (connection.isCut) connection.end(false);
      return false;
    });
    queue.after(heartbeat(), () => {
      if (connection.isCut) process.lose(connection);
      return false;
    });
    queue.after(chance(0.5) ? span(20, 400) : span(400, 6_000), () => {
      say(() => `${process.name} is cut off no more`);
      process.isCutOff = false;
      connection.heal();
      return false;
    });
  }
  function restartBroker(): void {
    if (!broker.isUp) return;
    counts.brokerRestarts++;
    say(() => 'the broker stops');
    broker.restart();
    queue.after(span(100, 2_000), () => {
      say(() => 'the broker is back');
      broker.isUp = true;
      return false;
    });
  }
  function restartNaming(): void {
    counts.namingRestarts++;
    say(() => 'naming stops');
    naming.isUp = false;
    queue.after(span(100, 5_000), () => {
      const losesAll = chance(0.3);
      say(() => `naming is back${losesAll ? ', with nothing' : ''}`);
      naming.restart(losesAll);
      return false;
    });
  }
  /** What somebody who has no right to might append, or a claim that comes late. */
  function intrude(): void {
    const process = pick(processes);
    if (process === undefined) return;
    const { epoch } = oracle;
    const minN = 0;
    if (chance(0.4) && epoch > 0)
      return broker.append(process.member, { kind: 'epoch', epoch: epoch + 1, migrationId: 'late', minN });
    const bad = pick([epoch, epoch - 1, epoch + 2, 1 + below(epoch + 1)]) ?? 0;
    if (bad < 1 || bad === epoch + 1) return;
    if (chance(0.5)) return broker.append(process.member, { kind: 'epoch', epoch: bad, migrationId: 'wrong', minN });
    if (bad === epoch && process.member === oracle.owner) return;
    broker.append(process.member, { kind: 'opens', epoch: bad, seq: oracle.counted.length + 1 });
  }

  function strike(): void {
    if (queue.now() > untilMs) return;
    queue.after(span(0, 2) * faultEveryMs, () => {
      strike();
      return false;
    });
    const owner = processes.find(({ server, isRunning }) => isRunning && server.mode === 'active');
    const victim = chance(0.5) ? (owner ?? pick(processes)) : pick(processes);
    if (victim === undefined) return;
    const luck = random();
    if (luck < 0.25) kill(victim);
    else if (luck < 0.5) freeze(victim);
    else if (luck < 0.75) cut(victim);
    else if (luck < 0.82) restartBroker();
    else if (luck < 0.88) restartNaming();
    else intrude();
  }
}
