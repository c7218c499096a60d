/** One query at a time: running, cancelling, and what came of it. */

import { runSql, type SqlAnswer } from "../../api/client";
import { ApiError, isAbort } from "../../api/http";

export interface QueryFailure {
  message: string;
  line: number | null;
  column: number | null;
  hint: string | null;
}

export class QueryRun {
  phase = $state<"idle" | "running" | "done" | "failed" | "cancelled">("idle");
  /** The text that ran, to which answer and failure belong. */
  query = $state("");
  answer = $state.raw<SqlAnswer | null>(null);
  failure = $state.raw<QueryFailure | null>(null);
  startedMs = $state(0);
  elapsedMs = $state(0);
  receivedBytes = $state(0);
  /** From the decoded answer to the frame that shows it. */
  paintMs = $state(0);
  private controller: AbortController | null = null;

  /** Runs `query`, giving up the one before. Resolves when it is over, however it ended. */
  async start(query: string, limit: number): Promise<void> {
    this.controller?.abort();
    const controller = new AbortController();
    this.controller = controller;
    this.phase = "running";
    this.query = query;
    this.failure = null;
    this.receivedBytes = 0;
    this.startedMs = performance.now();
    try {
      const answer = await runSql(query, { limit, signal: controller.signal, onProgress: (bytes) => (this.receivedBytes = bytes) });
      if (this.controller !== controller) return;
      this.answer = answer;
      this.phase = "done";
      const decodedMs = performance.now();
      requestAnimationFrame(() => requestAnimationFrame(() => (this.paintMs = performance.now() - decodedMs)));
    } catch (error) {
      if (this.controller !== controller) return;
      this.answer = null;
      this.phase = isAbort(error) ? "cancelled" : "failed";
      if (!isAbort(error)) this.failure = describe(error);
    }
    this.elapsedMs = performance.now() - this.startedMs;
  }

  /** Closes the connection; the server drops the query when it does. */
  cancel(): void {
    this.controller?.abort();
  }
}

function describe(error: unknown): QueryFailure {
  if (error instanceof ApiError) return { message: error.message, line: error.line, column: error.column, hint: error.hint };
  return { message: `the answer could not be read: ${(error as Error).message}`, line: null, column: null, hint: null };
}
