/** The queries of the page, asked together: what came of each, and giving them up. */

import { instantQuery, rangeQuery, type PromAnswer, type QueryStats } from "../../api/prom";
import { ApiError, isAbort } from "../../api/http";
import type { Grid, QueryData } from "../../lib/explore/answers";
import { readPromError, type PromError } from "../../lib/promql/error";

const RANGE_SERIES_MAX = 2_000;
const INSTANT_SERIES_MAX = 20_000;

export interface Asked {
  index: number;
  letter: string;
  expr: string;
}

/** What came of one query; `data` and `error` exclude each other. */
export interface Outcome extends Asked {
  data: QueryData | null;
  stats: QueryStats | null;
  error: PromError | null;
  warnings: string[];
  infos: string[];
  elapsedMs: number;
  bytes: number;
}

export interface Question {
  queries: Asked[];
  /** Range queries over the grid, or instant ones at its end. */
  isRange: boolean;
  grid: Grid;
  stats: boolean;
}

export class ExploreRun {
  phase = $state<"idle" | "running" | "done" | "cancelled">("idle");
  outcomes = $state.raw<Outcome[]>([]);
  /** The question the outcomes belong to. */
  question = $state.raw<Question | null>(null);
  elapsedMs = $state(0);
  ranAtMs = $state(0);
  private controller: AbortController | null = null;

  /** Asks all queries at once, giving up the round before. Resolves with the outcomes, or `null` when it was given up. */
  async start(question: Question): Promise<Outcome[] | null> {
    this.controller?.abort();
    const controller = new AbortController();
    this.controller = controller;
    this.phase = "running";
    const startMs = performance.now();
    const outcomes = await Promise.all(question.queries.map((asked) => ask(asked, question, controller.signal)));
    if (this.controller !== controller) return null;
    this.elapsedMs = performance.now() - startMs;
    if (controller.signal.aborted) {
      this.phase = "cancelled";
      return null;
    }
    this.outcomes = outcomes.filter((outcome) => outcome !== null);
    this.question = question;
    this.ranAtMs = Date.now();
    this.phase = "done";
    return this.outcomes;
  }

  clear(): void {
    this.cancel();
    this.controller = null;
    this.phase = "idle";
    this.outcomes = [];
    this.question = null;
  }

  cancel(): void {
    this.controller?.abort();
  }
}

async function ask(asked: Asked, question: Question, signal: AbortSignal): Promise<Outcome | null> {
  const startMs = performance.now();
  const none = { ...asked, data: null, stats: null, error: null, warnings: [], infos: [], elapsedMs: 0, bytes: 0 };
  try {
    const { stats } = question;
    const answer: PromAnswer<QueryData & { stats?: QueryStats }> = question.isRange
      ? await rangeQuery(asked.expr, question.grid, { signal, stats, limit: RANGE_SERIES_MAX })
      : await instantQuery(asked.expr, question.grid.end, { signal, stats, limit: INSTANT_SERIES_MAX });
    return { ...none, data: answer.data, stats: answer.data.stats ?? null, warnings: answer.warnings, infos: answer.infos, elapsedMs: answer.elapsedMs, bytes: answer.bytes };
  } catch (error) {
    if (isAbort(error)) return null;
    const message = error instanceof ApiError ? error.message : `the answer could not be read: ${(error as Error).message}`;
    const hint = question.isRange && /for range query/.test(message) ? "; the table takes it" : "";
    return { ...none, error: readPromError(asked.expr, message + hint), elapsedMs: performance.now() - startMs };
  }
}
