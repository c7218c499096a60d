/**
 * History routing. Keeps the current location, turns clicks on our own links into navigation without a reload, and
 * tells listeners. Knows paths and parameters, no pages.
 */

export interface Place {
  path: string;
  params: URLSearchParams;
  hash: string;
}

/** The parts of `window` the router uses, so that tests can bring their own. */
export type RouterWindow = Pick<Window, "location" | "history" | "addEventListener" | "removeEventListener">;

export class Router {
  place: Place;
  private readonly listeners = new Set<(place: Place) => void>();

  constructor(private readonly win: RouterWindow) {
    this.place = readPlace(win.location);
  }

  /** Starts listening to back, forward, edited fragments and clicks; returns what stops it. */
  start(): () => void {
    const moved = () => this.update();
    const clicked = (event: Event) => this.onClick(event as MouseEvent);
    this.win.addEventListener("popstate", moved);
    this.win.addEventListener("click", clicked);
    return () => {
      this.win.removeEventListener("popstate", moved);
      this.win.removeEventListener("click", clicked);
    };
  }

  subscribe(listener: (place: Place) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Goes to a path of ours. `replace` changes the URL without a new step in the history. */
  go(href: string, options: { replace?: boolean } = {}): void {
    const current = this.win.location.pathname + this.win.location.search + this.win.location.hash;
    if (href === current) return;
    if (options.replace) this.win.history.replaceState(null, "", href);
    else this.win.history.pushState(null, "", href);
    this.update();
  }

  /** Sets some search parameters of the current page (`null` removes one) and keeps the rest. */
  setParams(changes: Record<string, string | null>, options: { replace?: boolean } = {}): void {
    const params = new URLSearchParams(this.place.params);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) params.delete(name);
      else params.set(name, value);
    }
    const search = params.size > 0 ? `?${params}` : "";
    this.go(this.place.path + search + this.place.hash, options);
  }

  private update(): void {
    this.place = readPlace(this.win.location);
    for (const listener of this.listeners) listener(this.place);
  }

  private onClick(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.("a");
    if (!link?.href || link.target || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    if (url.origin !== this.win.location.origin || !isPagePath(url.pathname)) return;
    event.preventDefault();
    this.go(url.pathname + url.search + url.hash);
  }
}

/** Paths the server answers itself are left to the browser. */
function isPagePath(path: string): boolean {
  return !/^\/(api|assets|metrics$|-\/|loki|otlp|alertmanager)/.test(path) && !path.endsWith(".txt");
}

function readPlace(location: Location): Place {
  return { path: normalisePath(location.pathname), params: new URLSearchParams(location.search), hash: location.hash };
}

function normalisePath(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, "") || "/" : "/";
}
