import { ContentIndex } from '../../../services/peer/content-index.ts';
import { Share } from '../../../services/peer/share.ts';

/** Shares a folder until all is indexed, then prints figures as JSON. Can be killed at any moment. */
const [root = '', data = ''] = process.argv.slice(2);
const startedAt = performance.now();
const index = new ContentIndex(data);
const before = index.counter;
const share = new Share(
  { root, index, indexDir: data, onChange: () => {}, onProblem: failure => console.error(failure.message) },
  { settleMs: 0, rescanMs: 0 },
);
await share.whenIdle();
const figures = {
  ms: Math.round(performance.now() - startedAt),
  cpuMs: Math.round((process.cpuUsage().user + process.cpuUsage().system) / 1000),
  rssMiB: Math.round(process.memoryUsage.rss() / 2 ** 20),
  mostRssMiB: Math.round(process.resourceUsage().maxRSS / 1024),
  ...index.totals(),
  changes: index.counter - before,
};
await share.close();
index.close();
console.log(JSON.stringify(figures));
