/** First guess of column widths from names and the first rows. */

import { cellPreview, type ResultTable } from "../../lib/table";

const SAMPLE_ROWS = 60;
const CHAR_PX = 7.3;
const PADDING_PX = 20;
const SORT_MARK_PX = 14;
export const WIDTH_MIN_PX = 48;
const WIDTH_MAX_PX = 420;

export function guessWidths(table: ResultTable): number[] {
  return table.columns.map((column, i) => {
    let chars = 3;
    for (let row = 0; row < Math.min(SAMPLE_ROWS, table.rowCount); row++) {
      chars = Math.max(chars, cellPreview(table.columns[i].at(row), column.kind, 80).length);
    }
    const cellPx = chars * CHAR_PX + PADDING_PX;
    const headPx = Math.max(column.name.length * CHAR_PX + SORT_MARK_PX, column.type.length * 5.6) + PADDING_PX;
    return Math.round(Math.min(WIDTH_MAX_PX, Math.max(WIDTH_MIN_PX, cellPx, headPx)));
  });
}
