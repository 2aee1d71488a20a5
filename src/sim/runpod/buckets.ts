/** Time buckets of the billing API, all in UTC. */
export const bucketSizes = ['hour', 'day', 'week', 'month', 'year'] as const;
export type BucketSize = (typeof bucketSizes)[number];

/** Start of the bucket that holds `ms`; weeks begin on Monday. */
export function bucketStart(ms: number, size: BucketSize): number {
  const date = new Date(ms);
  const year = date.getUTCFullYear();
  const month = date.getUTCMonth();
  const day = date.getUTCDate();
  switch (size) {
    case 'hour':
      return Date.UTC(year, month, day, date.getUTCHours());
    case 'day':
      return Date.UTC(year, month, day);
    case 'week':
      return Date.UTC(year, month, day - ((date.getUTCDay() + 6) % 7));
    case 'month':
      return Date.UTC(year, month);
    case 'year':
      return Date.UTC(year, 0);
  }
}

/** Start of the bucket `count` after (or, negative, before) the one that begins at `start`. */
export function bucketShift(start: number, size: BucketSize, count: number): number {
  const date = new Date(start);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  switch (size) {
    case 'hour':
      return start + count * 3_600_000;
    case 'day':
      return Date.UTC(year, month, day + count);
    case 'week':
      return Date.UTC(year, month, day + 7 * count);
    case 'month':
      return Date.UTC(year, month + count);
    case 'year':
      return Date.UTC(year + count, 0);
  }
}
