import { expect, it } from "vitest";
import { addToHistory, loadHistory, PROM_HISTORY, searchHistory, type HistoryEntry } from "./history";

function memory(limit = Infinity) {
  const items = new Map<string, string>();
  return {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => {
      if (value.length > limit) throw new Error("quota");
      items.set(key, value);
    },
  };
}
const entry = (query: string, ranAtMs = 0): HistoryEntry => ({ query, ranAtMs, elapsedMs: 3, rows: 1, error: null });

it("keeps the latest first and one of each", () => {
  const storage = memory();
  addToHistory(storage, entry("SELECT 1", 1));
  addToHistory(storage, entry("SELECT 2", 2));
  addToHistory(storage, entry(" SELECT 1 ", 3));
  expect(loadHistory(storage).map((e) => e.ranAtMs)).toEqual([3, 2]);
});

it("forgets the oldest rather than failing", () => {
  const storage = memory(400);
  for (let i = 0; i < 20; i++) addToHistory(storage, entry(`SELECT ${i}`, i));
  const kept = loadHistory(storage);
  expect(kept[0].query).toBe("SELECT 19");
  expect(kept.length).toBeGreaterThan(0);
});

it("survives foreign contents", () => {
  expect(loadHistory({ getItem: () => "{oops" })).toEqual([]);
  expect(loadHistory({ getItem: () => '[1,null,{"query":3}]' })).toEqual([]);
});

it("searches by words", () => {
  const entries = [entry("SELECT ts FROM logs"), entry("SELECT ts FROM metrics")];
  expect(searchHistory(entries, "LOGS ts").length).toBe(1);
  expect(searchHistory(entries, " ").length).toBe(2);
});

it("keeps SQL and PromQL apart", () => {
  const kept = new Map<string, string>();
  const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
  const entry = (query: string) => ({ query, ranAtMs: 1, elapsedMs: 1, rows: 1, error: null });
  addToHistory(storage, entry("SELECT 1"));
  addToHistory(storage, entry("up"), PROM_HISTORY);
  expect(loadHistory(storage).map(({ query }) => query)).toEqual(["SELECT 1"]);
  expect(loadHistory(storage, PROM_HISTORY).map(({ query }) => query)).toEqual(["up"]);
});
