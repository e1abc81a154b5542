import { startDelayRelay } from './delay-relay.ts';

/** `node delay-relay-process.ts TARGET-PORT MS`: the relay in a process of its own; says its port over IPC. */
const [targetPort, delayMs] = process.argv.slice(2);
const { port } = await startDelayRelay(Number(targetPort), Number(delayMs));
process.on('SIGTERM', () => process.exit());
process.send?.({ port });
