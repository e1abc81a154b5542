import { type Child, type Children, nextMessage } from './children.ts';
import type { Sample } from './load.ts';
import type { RpcCommand, RpcResult } from './raw-rpc-messages.ts';

export interface RawRpc {
  readonly caller: Child;
  readonly echo: Child;
  run(inFlight: number, seconds: number): Promise<Sample>;
}

/** Request and reply over the broker by the bus alone, no HTTP: what any proxy over it must pay at least. */
export async function startRawRpc(children: Children, brokerUrl: string): Promise<RawRpc> {
  const stdio = { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] } as const;
  const start = async (name: string, file: string): Promise<Child> => {
    const child = children.startScript(name, file, [brokerUrl], { stdio: [...stdio.stdio] });
    await nextMessage(child, 15_000);
    return child;
  };
  const echo = await start('echo', 'raw-rpc-server.ts');
  const caller = await start('caller', 'raw-rpc-client.ts');
  return {
    caller,
    echo,
    async run(inFlight, seconds) {
      const command: RpcCommand = { inFlight, seconds };
      caller.process.send(command);
      const result = (await nextMessage(caller, (seconds + 15) * 1000)) as RpcResult;
      const { requests, p50Ms, p99Ms, errors } = result;
      const sample = { requests, seconds: result.seconds, p50Ms, p99Ms };
      return errors === 0 ? sample : { ...sample, problem: `${errors} calls failed` };
    },
  };
}
