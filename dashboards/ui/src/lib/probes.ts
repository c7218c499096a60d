/** Probe results for the home page: the SQL to ask and the last state of each probe and location, worst first. */

import { cellNumber, type ResultTable } from "./table";

const RESULTS_EACH = 40;

/** The latest results of each probe from each location. */
export const PROBES_SQL =
  "SELECT probe, location, target, kind, ts, success, reason, duration_seconds, status_code, cert_not_after FROM (" +
  "SELECT *, row_number() OVER (PARTITION BY probe, location ORDER BY ts DESC) AS place FROM probes WHERE ts > now() - interval '6 hours'" +
  `) WHERE place <= ${RESULTS_EACH} ORDER BY probe, location, ts`;

export interface ProbeState {
  probe: string;
  location: string;
  target: string;
  kind: string;
  lastMs: number;
  success: boolean;
  reason: string | null;
  statusCode: number | null;
  durationSeconds: number;
  certNotAfterMs: number | null;
  /** Durations of the last results, oldest first; a failure is `null`. */
  durations: (number | null)[];
  /** Share of the results shown that were good, 0 to 1. */
  successShare: number;
}

export function readProbes(table: ResultTable): ProbeState[] {
  const at = (name: string, row: number) => table.columns.find((column) => column.name === name)?.at(row) ?? null;
  const states = new Map<string, ProbeState & { results: number; good: number }>();
  for (let row = 0; row < table.rowCount; row++) {
    const text = (name: string) => String(at(name, row) ?? "");
    const number = (name: string) => {
      const value = cellNumber(at(name, row));
      return Number.isNaN(value) ? null : value;
    };
    const key = `${text("probe")}\0${text("location")}`;
    const before = states.get(key);
    const success = at("success", row) === true;
    const duration = number("duration_seconds");
    const results = (before?.results ?? 0) + 1;
    const good = (before?.good ?? 0) + Number(success);
    states.set(key, {
      probe: text("probe"),
      location: text("location"),
      target: text("target"),
      kind: text("kind"),
      lastMs: number("ts") ?? 0,
      success,
      reason: at("reason", row) === null ? null : text("reason"),
      statusCode: number("status_code"),
      durationSeconds: duration ?? 0,
      certNotAfterMs: number("cert_not_after"),
      durations: [...(before?.durations ?? []), success ? duration : null],
      results,
      good,
      successShare: good / results,
    });
  }
  return Array.from(states.values()).sort((a, b) => Number(a.success) - Number(b.success) || (a.probe < b.probe ? -1 : a.probe > b.probe ? 1 : a.location < b.location ? -1 : 1));
}
