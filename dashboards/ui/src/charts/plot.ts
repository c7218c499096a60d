/**
 * uPlot with our looks. Takes a host element and aligned data, draws lines or a stacked area, tells cursor and brush.
 * Knows nothing of Svelte; the component around it owns legend and state.
 */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { stack, type Aligned } from "../lib/series";
import { readPalette, withAlpha, type Palette } from "./palette";

export interface PlotOptions {
  heightPx: number;
  stacked: boolean;
  /** Where the value axis has its ticks: at round numbers, at powers of two, or at round times when values are seconds. */
  ticks: "plain" | "binary" | "time";
  isTime: boolean;
  /** Charts with the same key share their cursor. */
  syncKey: string | null;
  format: (value: number) => string;
  /** Bounds of the axes; `null` leaves them to the data. */
  xRange: { min: number; max: number } | null;
  yMin: number | null;
  yMax: number | null;
  onCursor: (index: number | null, place: { left: number; top: number }) => void;
  /** Tells which line is nearest the pointer, and dims the others; `null` leaves that out. */
  onFocus: ((index: number | null) => void) | null;
  onBrush: ((min: number, max: number) => void) | null;
}

const AXIS_FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const BRUSH_PX_MIN = 6;
const FOCUS_PX = 24;
const POWERS_OF_TWO = Array.from({ length: 60 }, (_, i) => 2 ** i);
const PARTS_OF_SECONDS = [-9, -8, -7, -6, -5, -4, -3, -2, -1].flatMap((exponent) => [1, 2, 5].map((digit) => Number(`${digit}e${exponent}`)));
const ROUND_TIMES = [...PARTS_OF_SECONDS, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, ...[1, 2, 5, 10, 30, 100, 300, 1_000, 3_000, 10_000].map((days) => days * 86_400)];
const INCREMENTS = { plain: {}, binary: { incrs: POWERS_OF_TWO }, time: { incrs: ROUND_TIMES } };
const AXIS_PX_MIN = 58;
const AXIS_CHAR_PX = 6.3;
/** Lines beyond the palette repeat its colours with another stroke. */
const DASHES = [undefined, [7, 3], [2, 3]];

/** A drawn chart. Data, bounds and hidden series change in place; anything else needs a new one. */
export class Plot {
  private readonly chart: uPlot;
  private readonly observer: ResizeObserver;
  private palette: Palette;
  private xRange: PlotOptions["xRange"];

  constructor(
    private readonly host: HTMLElement,
    names: string[],
    private readonly options: PlotOptions,
  ) {
    this.palette = readPalette(host);
    this.xRange = options.xRange;
    this.chart = new uPlot(this.build(names), [[], ...names.map(() => [])] as uPlot.AlignedData, host);
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(host);
  }

  setData(data: Aligned, hidden: Set<string>, xRange: PlotOptions["xRange"]): void {
    this.xRange = xRange;
    const shown = data.columns.map((column, i) => (hidden.has(data.names[i]) ? column.map(() => null) : column));
    const drawn = this.options.stacked ? stack({ ...data, columns: shown }).columns : shown;
    this.chart.batch(() => {
      data.names.forEach((name, i) => {
        const show = !hidden.has(name);
        if (this.chart.series[i + 1].show !== show) this.chart.setSeries(i + 1, { show }, false);
      });
      this.chart.setData([data.times, ...drawn] as uPlot.AlignedData);
    });
  }

  /** The theme changed. */
  recolour(): void {
    this.palette = readPalette(this.host);
    this.chart.redraw(false, true);
  }

  destroy(): void {
    this.observer.disconnect();
    this.chart.destroy();
  }

  private fit(): void {
    const width = this.host.clientWidth;
    if (width > 0 && width !== this.chart.width) this.chart.setSize({ width, height: this.options.heightPx });
  }

  private build(names: string[]): uPlot.Options {
    const { options } = this;
    const { heightPx, syncKey, isTime, yMin, yMax, format } = options;
    const axis = { stroke: () => this.palette.muted, font: AXIS_FONT, ticks: { show: false } };
    const grid = { stroke: () => this.palette.line, width: 1 };
    return {
      width: Math.max(this.host.clientWidth, 120),
      height: heightPx,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: {
        ...(syncKey ? { sync: { key: syncKey } } : {}),
        drag: { x: options.onBrush !== null, y: false, setScale: false, dist: BRUSH_PX_MIN },
        points: { size: 6 },
        ...(options.onFocus ? { focus: { prox: FOCUS_PX } } : {}),
      },
      ...(options.onFocus ? { focus: { alpha: 0.35 } } : {}),
      scales: {
        x: { time: isTime, range: (_u, min, max) => this.xBounds(min, max) },
        y: { range: (_u, min, max) => yBounds(min, max, yMin, yMax) },
      },
      axes: [
        { ...axis, grid, space: 64, size: 26, ...(isTime ? { values: timeLabels } : {}) },
        { ...axis, grid, size: axisWidth, space: 28, ...INCREMENTS[options.ticks], values: (_u, ticks) => ticks.map((tick) => format(tick)) },
      ],
      series: [{}, ...names.map((name, i) => this.series(name, i))],
      bands: options.stacked ? names.slice(1).map((_, i) => ({ series: [i + 2, i + 1] as [number, number] })) : [],
      hooks: {
        setCursor: [(chart) => options.onCursor(chart.cursor.idx ?? null, { left: chart.cursor.left ?? 0, top: chart.cursor.top ?? 0 })],
        setSeries: [(_chart, index) => options.onFocus?.(index === null ? null : index - 1)],
        setSelect: [(chart) => this.brushed(chart)],
      },
    };
  }

  private series(name: string, index: number): uPlot.Series {
    const colour = () => this.palette.series[index % this.palette.series.length];
    const { stacked } = this.options;
    return {
      label: name,
      stroke: colour,
      width: stacked ? 1 : 1.4,
      ...(stacked ? { fill: () => withAlpha(colour(), 0.35) } : {}),
      // A line needs two points; one alone between gaps is drawn as a dot.
      ...(stacked ? {} : { dash: DASHES[Math.floor(index / this.palette.series.length) % DASHES.length] }),
      points: { show: true, size: 4, stroke: colour, fill: colour, filter: (chart, i) => lonePoints(chart.data[i]) },
      spanGaps: false,
    };
  }

  private xBounds(min: number | null, max: number | null): [number, number] {
    if (this.xRange) return [this.xRange.min, this.xRange.max];
    if (min === null || max === null) return [0, 1];
    return min === max ? [min - 1, max + 1] : [min, max];
  }

  private brushed(chart: uPlot): void {
    const { left, width } = chart.select;
    if (width < BRUSH_PX_MIN || !this.options.onBrush) return;
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.options.onBrush(chart.posToVal(left, "x"), chart.posToVal(left + width, "x"));
  }
}

/** As wide as the longest label wants. */
function axisWidth(_chart: uPlot, labels: string[] | null): number {
  return Math.max(AXIS_PX_MIN, ...(labels ?? []).map((label) => Math.ceil(label.length * AXIS_CHAR_PX) + 14));
}

function lonePoints(values: ArrayLike<number | null | undefined>): number[] {
  const isGap = (at: number) => values[at] === null || at < 0 || at >= values.length;
  const lone: number[] = [];
  for (let i = 0; i < values.length; i++) if (typeof values[i] === "number" && isGap(i - 1) && isGap(i + 1)) lone.push(i);
  return lone;
}

/** Twenty-four hour clock; the day stands where it changes. */
function timeLabels(_chart: uPlot, ticks: number[]): string[] {
  let lastDay = "";
  const short = ticks.length > 1 && ticks[1] - ticks[0] < 60;
  return ticks.map((tick) => {
    const date = new Date(tick * 1000);
    const two = (part: number) => String(part).padStart(2, "0");
    const day = `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
    const midnight = date.getHours() + date.getMinutes() + date.getSeconds() === 0;
    const isNewDay = midnight && day !== lastDay;
    lastDay = day;
    if (isNewDay) return day;
    const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
    return short ? `${clock}:${two(date.getSeconds())}` : clock;
  });
}

/** Room above the data, zero below when the data is near it, and never a flat scale. */
function yBounds(dataMin: number | null, dataMax: number | null, min: number | null, max: number | null): [number, number] {
  const low = min ?? dataMin ?? 0;
  const high = max ?? dataMax ?? 1;
  if (max !== null) return [low, Math.max(max, dataMax ?? max)];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [min ?? low - room, high + room];
}
