import { type BackupRecord, compareKeys, isSameBytes, type Pair } from "./backup.js";

/** What has to be written down to get from one state to another; both in key order. */
export async function* difference(
  before: AsyncIterable<Pair>,
  now: AsyncIterable<Pair>,
): AsyncGenerator<BackupRecord, void, undefined> {
  const olds = before[Symbol.asyncIterator]();
  const news = now[Symbol.asyncIterator]();
  try {
    let old = await next(olds);
    let fresh = await next(news);
    while (old !== undefined || fresh !== undefined) {
      const order =
        old === undefined ? 1 : fresh === undefined ? -1 : compareKeys(old[0], fresh[0]);
      if (order < 0 && old !== undefined) yield [old[0], undefined];
      if (fresh !== undefined && 0 <= order) {
        if (0 < order || old === undefined || !isSameBytes(old[1], fresh[1])) yield fresh;
      }
      if (order <= 0) old = await next(olds);
      if (0 <= order) fresh = await next(news);
    }
  } finally {
    await Promise.all([olds.return?.(), news.return?.()]);
  }
}

async function next(iterator: AsyncIterator<Pair>): Promise<Pair | undefined> {
  const { done, value } = await iterator.next();
  return done === true ? undefined : value;
}
