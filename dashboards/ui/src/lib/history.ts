/**
 * The queries this browser ran. Takes a `Storage`, keeps the latest first, the same text once; survives a storage that
 * is full, foreign or forbidden. Knows nothing of the server.
 */

export interface HistoryEntry {
  query: string;
  /** When it last ran, milliseconds since the epoch. */
  ranAtMs: number;
  elapsedMs: number;
  /** Rows or series of the answer; `null` when the query failed. */
  rows: number | null;
  error: string | null;
}

/** Where each page keeps its queries. */
export const SQL_HISTORY = "atl.sql.history";
export const PROM_HISTORY = "atl.prom.history";
const ENTRIES_MAX = 200;
const QUERY_CHARS_MAX = 20_000;

export function loadHistory(storage: Pick<Storage, "getItem">, key = SQL_HISTORY): HistoryEntry[] {
  try {
    const stored: unknown = JSON.parse(storage.getItem(key) ?? "[]");
    return Array.isArray(stored) ? stored.filter(isEntry).slice(0, ENTRIES_MAX) : [];
  } catch {
    return [];
  }
}

function isEntry(value: unknown): value is HistoryEntry {
  const entry = value as HistoryEntry | null;
  return typeof entry === "object" && entry !== null && typeof entry.query === "string" && typeof entry.ranAtMs === "number";
}

/** Puts an entry on top and returns the new list. Text too long to keep is left out. */
export function addToHistory(storage: Pick<Storage, "getItem" | "setItem">, entry: HistoryEntry, key = SQL_HISTORY): HistoryEntry[] {
  const others = loadHistory(storage, key).filter((other) => other.query.trim() !== entry.query.trim());
  if (entry.query.trim() === "" || entry.query.length > QUERY_CHARS_MAX) return others;
  let kept = [entry, ...others].slice(0, ENTRIES_MAX);
  while (kept.length > 0) {
    try {
      storage.setItem(key, JSON.stringify(kept));
      return kept;
    } catch {
      kept = kept.slice(0, kept.length >> 1);
    }
  }
  return kept;
}

export function clearHistory(storage: Pick<Storage, "removeItem">, key = SQL_HISTORY): void {
  storage.removeItem(key);
}

/** Entries that hold every word of `search`, in any order and case. */
export function searchHistory(entries: HistoryEntry[], search: string): HistoryEntry[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return entries.filter((entry) => words.every((word) => entry.query.toLowerCase().includes(word)));
}
