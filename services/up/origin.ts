import type { Run } from '../cli/io.ts';
import { settled } from '../lib/settled.ts';
import { run as runProxy } from '../proxy/main.ts';
import { run as runWorker } from '../worker/main.ts';

/** The origin's settings file describes a proxy *and* its backends: runs the proxy with a worker for them. */
export const run: Run = async (config, stop, io) => {
  const together = new AbortController();
  const end = (): void => together.abort();
  stop.addEventListener('abort', end);
  if (stop.aborted) end();
  // Whichever fails takes the other with it.
  await settled([runWorker, runProxy].map(each => each(config, together.signal, io).finally(end)));
};
