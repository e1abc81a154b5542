/**
 * What of a response's framing undici takes and we do not. It undoes `chunked`, however often and behind whatever else that stands: what
 * it hands on is then not the content (RFC 9112 §6.1). Two lengths, garbage and the rest it refuses itself.
 * @param fields name and value in turn
 */
export function responseProblem(fields: readonly string[]): string | undefined {
  let codings = 0;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]?.length !== 17 || fields[i]?.toLowerCase() !== 'transfer-encoding') continue;
    codings++;
    if (codings > 1 || fields[i + 1]?.toLowerCase() !== 'chunked')
      return `the response came with Transfer-Encoding ${fields[i + 1]}, and only chunked is served`;
  }
  return undefined;
}
