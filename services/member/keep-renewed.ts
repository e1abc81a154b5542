import { messageOf } from '../lib/failure.ts';
import { type RenewalNeeds, renewedMembership } from './renewal.ts';

const everyMs = 6 * 3_600_000;
const retryMs = 60_000;

/** Has the certificate renewed in time: looked after whenever the broker is (back) there, and from time to time. */
export function keepRenewed(
  { bus, warn, ...needs }: RenewalNeeds & { warn: (line: string) => void },
  onRenewed: (certificate: string) => void,
): { close(): void } {
  let { membership } = needs;
  let timer: NodeJS.Timeout | undefined;
  let isLooking = false;
  let isClosed = false;
  let told = '';
  const look = async (): Promise<void> => {
    if (isLooking || isClosed || bus.state !== 'up') return;
    isLooking = true;
    let againMs = everyMs;
    try {
      const renewed = await renewedMembership({ ...needs, bus, membership });
      if (renewed !== membership) onRenewed(renewed.certificate);
      membership = renewed;
    } catch (error) {
      const line = messageOf(error);
      if (line !== told && bus.state === 'up') warn(line);
      told = line;
      againMs = retryMs;
    }
    isLooking = false;
    if (isClosed) return;
    clearTimeout(timer);
    timer = setTimeout(look, againMs);
    timer.unref();
  };
  const off = bus.onState(state => {
    if (state === 'up') void look();
  });
  void look();
  return {
    close() {
      off();
      clearTimeout(timer);
      isClosed = true;
    },
  };
}
