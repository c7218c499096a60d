/**
 * What every page shares: where we are, whether the server answers and what it says of itself, and the theme. Pages
 * read it; only this file writes it.
 */

import { fetchStatus } from "./api/client";
import { isAbort, onReachability } from "./api/http";
import type { Status } from "./api/types";
import { Router, type Place } from "./lib/router";
import { applyTheme, loadTheme, nextTheme, type Theme } from "./lib/theme";

export const router = new Router(window);

export const REFRESH_MS = 15_000;
const RETRY_MS = 5_000;

class AppState {
  place = $state.raw<Place>(router.place);
  reachable = $state(true);
  status = $state.raw<Status | null>(null);
  statusError = $state<string | null>(null);
  theme = $state<Theme>(loadTheme(localStorage));
  /** Grows whenever colours change, so that canvases know to draw again. */
  paletteVersion = $state(0);
  /** The clock of the page, milliseconds; moves once a second while the page is seen. */
  nowMs = $state(Date.now());

  cycleTheme(): void {
    this.theme = nextTheme(this.theme);
    applyTheme(this.theme, document.documentElement, localStorage);
    this.paletteVersion += 1;
  }

  async refreshStatus(): Promise<void> {
    try {
      this.status = await fetchStatus();
      this.statusError = null;
    } catch (error) {
      if (!isAbort(error)) this.statusError = (error as Error).message;
    }
  }
}

export const app = new AppState();

/** Starts routing, polling and listening; returns what stops it all. */
export function startApp(): () => void {
  applyTheme(app.theme, document.documentElement, localStorage);
  const stops = [
    router.start(),
    router.subscribe((place) => (app.place = place)),
    onReachability((reachable) => (app.reachable = reachable)),
    onSchemeChange(() => (app.paletteVersion += 1)),
    poll(() => app.refreshStatus(), () => (app.reachable ? REFRESH_MS : RETRY_MS)),
    poll(async () => void (app.nowMs = Date.now()), () => 1_000),
  ];
  return () => stops.forEach((stop) => stop());
}

function onSchemeChange(listener: () => void): () => void {
  const query = matchMedia("(prefers-color-scheme: dark)");
  query.addEventListener("change", listener);
  return () => query.removeEventListener("change", listener);
}

/**
 * Calls `work` now and again `waitMs()` after each end, never twice at once; not while the page is hidden, and at once
 * when it is seen again.
 */
export function poll(work: () => Promise<void>, waitMs: () => number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  let running = false;
  const turn = async () => {
    clearTimeout(timer);
    if (stopped || running || document.hidden) return;
    running = true;
    await work();
    running = false;
    if (!stopped) timer = setTimeout(turn, waitMs());
  };
  document.addEventListener("visibilitychange", turn);
  void turn();
  return () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", turn);
  };
}
