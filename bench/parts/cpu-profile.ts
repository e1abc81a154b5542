/** A .cpuprofile as V8 writes it; times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface FunctionTime {
  readonly name: string;
  readonly place: string;
  readonly selfUs: number;
}

/** Self time by function, the longest first. Idle time is left out; `(program)` is native code and system calls. */
export function selfTimes(profile: CpuProfile): FunctionTime[] {
  const usById = new Map<number, number>();
  profile.samples.forEach((id, index) => {
    usById.set(id, (usById.get(id) ?? 0) + (profile.timeDeltas[index] ?? 0));
  });
  const byPlace = new Map<string, FunctionTime>();
  for (const { id, callFrame } of profile.nodes) {
    const { functionName, url, lineNumber } = callFrame;
    if (functionName === '(idle)') continue;
    const place = url === '' ? '' : `${shorten(url)}:${lineNumber + 1}`;
    const key = `${functionName} ${place}`;
    const selfUs = (byPlace.get(key)?.selfUs ?? 0) + (usById.get(id) ?? 0);
    byPlace.set(key, { name: functionName || '(anonymous)', place, selfUs });
  }
  return [...byPlace.values()].sort((a, b) => b.selfUs - a.selfUs);
}

/** Self time summed by where the code comes from: a package, a folder of services, Node itself. */
export function originTimes(times: readonly FunctionTime[]): FunctionTime[] {
  const byOrigin = new Map<string, number>();
  for (const { name, place, selfUs } of times) {
    const [, inPackage] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(place) ?? [];
    const [, ofNode] = /^(node:(?:internal\/)?\w+)/.exec(place) ?? [];
    const [, ours] = /((?:services|proto)\/[\w/]*?)\/?[\w.-]+:\d+$/.exec(place) ?? [];
    const origin = inPackage ?? ofNode ?? ours ?? (place === '' ? name : place);
    byOrigin.set(origin, (byOrigin.get(origin) ?? 0) + selfUs);
  }
  return [...byOrigin].map(([name, selfUs]) => ({ name, place: '', selfUs })).sort((a, b) => b.selfUs - a.selfUs);
}

function shorten(url: string): string {
  return url.replace(/^file:\/\/.*?\/(?=(?:node_modules|services|proto|bench|bin)\/)/, '');
}
