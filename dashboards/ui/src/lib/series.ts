/**
 * Many series on one time axis, the shape the chart wants. Takes (time, value) pairs a series, returns one sorted time
 * column in seconds and one value column a series; `null` where a series has no sample. Knows nothing of drawing.
 */

/** One line of a chart: `times` in milliseconds, increasing. */
export interface Line {
  name: string;
  times: number[];
  values: (number | null)[];
}

/** What a chart draws: `times` in seconds; `columns[i][j]` belongs to `names[i]` at `times[j]`. */
export interface Aligned {
  names: string[];
  times: number[];
  columns: (number | null | undefined)[][];
}

/**
 * Puts lines on one axis. With `bucketMs`, times are rounded down to it first, so that series scraped at slightly
 * different moments share points; the last value in a bucket wins.
 *
 * A slot in which a series has no sample is `undefined` (the line goes on over it); an explicit `null` breaks the line.
 */
export function align(lines: Line[], bucketMs = 0): Aligned {
  if (lines.length === 1 && bucketMs === 0 && isIncreasing(lines[0].times)) {
    return { names: [lines[0].name], times: lines[0].times.map((ms) => ms / 1000), columns: [lines[0].values] };
  }
  const slot = (timeMs: number) => (bucketMs > 0 ? Math.floor(timeMs / bucketMs) * bucketMs : timeMs);
  const seen = new Set<number>();
  for (const line of lines) for (const time of line.times) seen.add(slot(time));
  const axis = Float64Array.from(seen).sort();
  const position = new Map<number, number>();
  axis.forEach((time, i) => position.set(time, i));
  const columns = lines.map((line) => {
    const column: (number | null | undefined)[] = new Array(axis.length).fill(undefined);
    line.times.forEach((time, i) => {
      column[position.get(slot(time)) as number] = line.values[i];
    });
    return column;
  });
  return { names: lines.map((line) => line.name), times: Array.from(axis, (ms) => ms / 1000), columns };
}

function isIncreasing(times: number[]): boolean {
  return times.every((time, i) => i === 0 || times[i - 1] < time);
}

/** Adds the columns up, bottom to top, for a stacked area; a missing value counts as nothing. */
export function stack(aligned: Aligned): Aligned {
  const sums = new Array<number>(aligned.times.length).fill(0);
  const columns = aligned.columns.map((column) =>
    sums.map((_, i) => {
      sums[i] += column[i] ?? 0;
      return sums[i];
    }),
  );
  return { ...aligned, columns };
}

/** Last, smallest, mean and largest of a column, for legends and the table twin; `null` without any value. */
export function summarise(column: (number | null | undefined)[]): { last: number; min: number; mean: number; max: number } | null {
  let count = 0;
  let sum = 0;
  let min = Infinity;
  let max = -Infinity;
  let last = 0;
  for (const value of column) {
    if (value === null || value === undefined || Number.isNaN(value)) continue;
    count += 1;
    sum += value;
    last = value;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return count === 0 ? null : { last, min, mean: sum / count, max };
}
