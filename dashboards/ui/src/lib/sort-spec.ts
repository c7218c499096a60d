/** By which column, and in which direction: the URL's form and what a click makes of it. Knows no data. */

export interface SortSpec {
  column: string;
  descending: boolean;
}

/** `-ts` is `ts` descending, `ts` ascending; `null` for none. The URL's form. */
export function parseSort(text: string | null): SortSpec | null {
  if (!text) return null;
  return text.startsWith("-") ? { column: text.slice(1), descending: true } : { column: text, descending: false };
}

export function sortToText(sort: SortSpec | null): string | null {
  return sort && `${sort.descending ? "-" : ""}${sort.column}`;
}

/** A click on a header: ascending, then descending, then as the server sent it. */
export function nextSort(current: SortSpec | null, column: string): SortSpec | null {
  if (current?.column !== column) return { column, descending: false };
  return current.descending ? null : { column, descending: true };
}
