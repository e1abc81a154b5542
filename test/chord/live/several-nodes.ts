import { startMember } from '../../../services/member/member.ts';

/** `node several-nodes.ts ADDRESS DIR…`: a node of the ring for each home that has joined, all in this process, which enter it through the address. */
const [join = '', ...dirs] = process.argv.slice(2);
for (const dataDir of dirs) {
  const member = await startMember(
    { warn: line => process.stderr.write(`${line}\n`), log: () => {}, onStop: () => {} },
    {
      ...{ dataDir, name: dataDir, host: '127.0.0.1', advertise: [], ports: [0], isRingOnly: true },
      ring: { join: [join], virtualNodes: 1, host: '127.0.0.1', ports: [0] },
    },
  );
  process.stdout.write(`up ${member.id}\n`);
}
