import { expect, it } from "vitest";
import { readProbes } from "./probes";
import type { ResultTable } from "./table";

it("keeps the last state a probe and location, failures first", () => {
  const names = ["probe", "location", "target", "kind", "ts", "success", "reason", "duration_seconds", "status_code", "cert_not_after"];
  const rows = [
    ["api", "FRA", "https://a", "http", 1000, true, null, 0.1, 200, 9e12],
    ["api", "FRA", "https://a", "http", 2000, true, null, 0.2, 200, 9e12],
    ["web", "FRA", "https://w", "http", 1000, true, null, 0.1, 200, null],
    ["web", "FRA", "https://w", "http", 2000, false, "status", 0.3, 503, null],
  ];
  const table: ResultTable = { rowCount: rows.length, columns: names.map((name, i) => ({ name, type: "", kind: "text", at: (row) => rows[row][i] })) };
  const states = readProbes(table);
  expect(states.map((state) => [state.probe, state.success, state.lastMs, state.durations, state.successShare])).toEqual([
    ["web", false, 2000, [0.1, null], 0.5],
    ["api", true, 2000, [0.1, 0.2], 1],
  ]);
  expect(states[0]).toMatchObject({ reason: "status", statusCode: 503, certNotAfterMs: null });
});
