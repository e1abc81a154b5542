import { rmSync } from 'node:fs';
import { ContentIndex } from '../../../services/peer/content-index.ts';
import { Share } from '../../../services/peer/share.ts';

/**
 * A member's share by itself: `node warren-share.ts DATA`. It looks through a folder until all of it is in the index in DATA, which is new
 * where that is asked for, and says how long that took.
 */
const [data = ''] = process.argv.slice(2);

process.on('message', ({ dir, isNew }: { dir: string; isNew: boolean }) => {
  if (isNew) rmSync(data, { recursive: true, force: true });
  const startedAt = performance.now();
  const index = new ContentIndex(data);
  const share = new Share(
    { root: dir, index, indexDir: data, onChange: () => {}, onProblem: console.error },
    { settleMs: 0, rescanMs: 0 },
  );
  void share.whenIdle().then(async () => {
    const seconds = (performance.now() - startedAt) / 1000;
    const { files } = index.totals();
    await share.close();
    index.close();
    process.send?.({ seconds, files });
  });
});
process.send?.('ready');
