/**
 * Which rows and columns of a huge grid are on screen. Pure arithmetic: scroll offsets in, index ranges and pixel
 * positions out. Browsers cap the height of an element (Firefox at about 17.8 million px), so past `MAX_CONTENT_PX`
 * the scroll bar is scaled: its position maps proportionally onto the rows.
 */

export const MAX_CONTENT_PX = 16_000_000;

export interface RowWindow {
  /** Height of the scrolled content, px. */
  contentPx: number;
  /** First row to draw and the one after the last. */
  first: number;
  end: number;
  /** Where the first row goes inside the content, px. */
  topPx: number;
}

/** Rows to draw for a scroll position; `headPx` is the sticky header inside the same scroller. */
export function rowWindow(rowCount: number, rowPx: number, scrollTop: number, viewportPx: number, headPx = 0, overscan = 6): RowWindow {
  const fullPx = rowCount * rowPx;
  const contentPx = Math.min(fullPx, MAX_CONTENT_PX);
  const bodyPx = Math.max(0, viewportPx - headPx);
  const offset = logicalOffset(fullPx, contentPx, bodyPx, scrollTop);
  const visible = Math.ceil(bodyPx / rowPx) + 1;
  const first = Math.max(0, Math.min(rowCount, Math.floor(offset / rowPx)) - overscan);
  const end = Math.min(rowCount, Math.floor(offset / rowPx) + visible + overscan);
  return { contentPx, first, end, topPx: scrollTop + first * rowPx - offset };
}

/** The scroll position that shows a row, or the present one when it is in view already. */
export function scrollTopFor(row: number, rowCount: number, rowPx: number, scrollTop: number, viewportPx: number, headPx = 0): number {
  const fullPx = rowCount * rowPx;
  const contentPx = Math.min(fullPx, MAX_CONTENT_PX);
  const bodyPx = Math.max(rowPx, viewportPx - headPx);
  const offset = logicalOffset(fullPx, contentPx, bodyPx, scrollTop);
  let wanted = offset;
  if (row * rowPx < offset) wanted = row * rowPx;
  else if ((row + 1) * rowPx > offset + bodyPx) wanted = (row + 1) * rowPx - bodyPx;
  if (wanted === offset) return scrollTop;
  const scrollable = fullPx - bodyPx;
  return scrollable <= 0 ? 0 : (wanted / scrollable) * (contentPx - bodyPx);
}

function logicalOffset(fullPx: number, contentPx: number, bodyPx: number, scrollTop: number): number {
  const travelPx = contentPx - bodyPx;
  if (travelPx <= 0) return 0;
  const share = Math.min(1, Math.max(0, scrollTop / travelPx));
  return share * (fullPx - bodyPx);
}

/** Columns that touch the horizontal view; `lefts` are the left edges and, last, the total width. */
export function columnWindow(lefts: number[], scrollLeft: number, viewportPx: number): { first: number; end: number } {
  const count = lefts.length - 1;
  let first = 0;
  while (first < count - 1 && lefts[first + 1] <= scrollLeft) first++;
  let end = first;
  while (end < count && lefts[end] < scrollLeft + viewportPx) end++;
  return { first, end: Math.max(end, Math.min(count, first + 1)) };
}

/** Left edges of columns of these widths, and the total. */
export function columnLefts(widths: number[]): number[] {
  const lefts = [0];
  for (const width of widths) lefts.push(lefts[lefts.length - 1] + width);
  return lefts;
}
