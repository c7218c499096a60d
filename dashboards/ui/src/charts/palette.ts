/** The colours of the style sheet as a canvas needs them: resolved to plain values for the theme in force. */

export const SERIES_COLOURS = 8;

export interface Palette {
  text: string;
  muted: string;
  line: string;
  series: string[];
}

/** The custom property of the n-th series, for markup. */
export function seriesVariable(index: number): string {
  return `var(--c${index % SERIES_COLOURS})`;
}

/** Asks the browser what each variable is right now; `light-dark()` resolves only in a real property. */
export function readPalette(host: HTMLElement): Palette {
  const probe = document.createElement("span");
  host.append(probe);
  const resolve = (variable: string) => {
    probe.style.color = variable;
    return getComputedStyle(probe).color;
  };
  const palette: Palette = {
    text: resolve("var(--text)"),
    muted: resolve("var(--muted)"),
    line: resolve("var(--line)"),
    series: Array.from({ length: SERIES_COLOURS }, (_, i) => resolve(`var(--c${i})`)),
  };
  probe.remove();
  return palette;
}

/** A colour `rgb(r, g, b)` with the given opacity. */
export function withAlpha(colour: string, alpha: number): string {
  const parts = /rgba?\(([^)]+)\)/.exec(colour)?.[1].split(/[ ,/]+/).slice(0, 3);
  return parts ? `rgba(${parts.join(", ")}, ${alpha})` : colour;
}
