import { readFileSync } from 'node:fs';
import { type CpuProfile, type FunctionTime, originTimes, selfTimes } from './cpu-profile.ts';

/**
 * `node bench/parts/top.ts FILE…`: the 25 functions that a CPU profile spends most self time in, and the 15 origins. V8 takes
 * its samples by signals, which arrive when a thread is switched: on a busy machine `writev` and `writeBuffer` look two to
 * four times as dear as they are (`perf record` shows it). What is left to compare are the functions of one kind.
 */
for (const file of process.argv.slice(2)) {
  const profile: CpuProfile = JSON.parse(readFileSync(file, 'utf8'));
  const times = selfTimes(profile);
  const allUs = times.reduce((sum, { selfUs }) => sum + selfUs, 0);
  const line = ({ name, place, selfUs }: FunctionTime): string =>
    `${((100 * selfUs) / allUs).toFixed(1).padStart(5)} %  ${(selfUs / 1000).toFixed(0).padStart(7)} ms  ${name}  ${place}\n`;
  process.stdout.write(`${file}: ${(allUs / 1e6).toFixed(1)} s of work\n`);
  process.stdout.write(times.slice(0, 25).map(line).join(''));
  process.stdout.write(`by origin\n${originTimes(times).slice(0, 15).map(line).join('')}\n`);
}
