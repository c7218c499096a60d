/** A rectangle of cells and its text for the clipboard. */

import { cellText, type ResultTable } from "./table";

export interface CellPosition {
  row: number;
  column: number;
}

export interface CellRange {
  top: number;
  bottom: number;
  left: number;
  right: number;
}

/** More cells than this are not put on the clipboard; the export does it better. */
export const COPY_CELLS_MAX = 200_000;

export function rangeBetween(anchor: CellPosition, focus: CellPosition): CellRange {
  return {
    top: Math.min(anchor.row, focus.row),
    bottom: Math.max(anchor.row, focus.row),
    left: Math.min(anchor.column, focus.column),
    right: Math.max(anchor.column, focus.column),
  };
}

export function rangeSize(range: CellRange): number {
  return (range.bottom - range.top + 1) * (range.right - range.left + 1);
}

/** Tab-separated text as spreadsheets paste it. `order` maps shown rows to rows of the table. One cell is copied bare. */
export function rangeText(table: ResultTable, range: CellRange, order: Uint32Array | null, withHeader = false): string {
  const columns = table.columns.slice(range.left, range.right + 1);
  const single = rangeSize(range) === 1 && !withHeader;
  const lines = withHeader ? [columns.map((column) => tsvCell(column.name)).join("\t")] : [];
  for (let shown = range.top; shown <= range.bottom && shown < table.rowCount; shown++) {
    const row = order ? order[shown] : shown;
    const cells = columns.map((column) => cellText(column.at(row), column.kind));
    lines.push(single ? cells[0] : cells.map(tsvCell).join("\t"));
  }
  return lines.join("\n");
}

function tsvCell(text: string): string {
  return /[\t\n\r"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
