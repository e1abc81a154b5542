/** As `Promise.all`, but when it rejects, nothing of it goes on any more. @throws what the first that failed, in their order, failed with */
export async function settled<T>(acts: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(acts);
  return Promise.all(acts);
}
