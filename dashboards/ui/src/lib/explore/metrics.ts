/**
 * The list of metrics as people think of them: the series of one histogram or summary are one entry, with type and
 * help. Names and metadata in, entries and search hits out. Knows no network.
 */

export type MetricType = "counter" | "gauge" | "histogram" | "native histogram" | "summary" | "info" | "unknown";

/** One entry of `/api/v1/metadata`. */
export interface Metadata {
  type: string;
  help: string;
  unit: string;
}

export interface Metric {
  name: string;
  type: MetricType;
  help: string;
  /** Whether the type is a guess from the name. */
  isGuess: boolean;
  /** The names its series have: `x_bucket`, `x_sum` and `x_count` for a classic histogram. */
  seriesNames: string[];
}

const PART = /_(bucket|sum|count)$/;

/** Groups names into metrics, sorted by name. */
export function buildMetrics(names: string[], metadata: Record<string, Metadata[]>): Metric[] {
  const present = new Set(names);
  const metrics = new Map<string, Metric>();
  for (const name of names) {
    const base = PART.test(name) ? name.replace(PART, "") : name;
    const family = familyOf(base, present, metadata);
    const owner = family ? base : name;
    if (!metrics.has(owner)) metrics.set(owner, family ?? single(name, metadata));
  }
  return Array.from(metrics.values()).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function describe(name: string, metadata: Record<string, Metadata[]>): Metadata | undefined {
  // OpenMetrics describes a counter without its `_total`, an info metric without its `_info`.
  const names = [name, name.replace(/_(total|info|created)$/, "")];
  for (const candidate of names) if (Object.hasOwn(metadata, candidate)) return metadata[candidate][0];
  return undefined;
}

/** The histogram or summary whose parts are called `base_…`, if that is what they are. */
function familyOf(base: string, present: Set<string>, metadata: Record<string, Metadata[]>): Metric | null {
  const known = Object.hasOwn(metadata, base) ? metadata[base][0] : undefined;
  const parts = [base, `${base}_bucket`, `${base}_sum`, `${base}_count`].filter((name) => present.has(name));
  const hasBuckets = present.has(`${base}_bucket`);
  const hasTotals = present.has(`${base}_sum`) && present.has(`${base}_count`);
  const help = known?.help ?? "";
  if (hasBuckets && (known?.type === "histogram" || known?.type === "gaugehistogram" || (!known && hasTotals))) {
    return { name: base, type: "histogram", help, isGuess: !known, seriesNames: parts };
  }
  if (known?.type === "summary" && hasTotals) return { name: base, type: "summary", help, isGuess: false, seriesNames: parts };
  return null;
}

/** What every scrape writes beside the target's own metrics; no target describes them. */
const OF_SCRAPING: Record<string, string> = {
  up: "1 when the last scrape of a target worked, 0 when it did not.",
  scrape_duration_seconds: "How long the last scrape took.",
  scrape_samples_scraped: "Samples the target gave.",
  scrape_samples_post_metric_relabeling: "Samples left after relabelling.",
  scrape_series_added: "Series that were new in the last scrape, about.",
  scrape_timeout_seconds: "The time a scrape may take.",
  scrape_sample_limit: "The most samples a scrape may bring.",
  scrape_body_size_bytes: "Size of the last scrape, unpacked.",
  ALERTS: "Alerts that are pending or firing, 1 each.",
  ALERTS_FOR_STATE: "Since when an alert is pending or firing.",
};

function single(name: string, metadata: Record<string, Metadata[]>): Metric {
  const known = describe(name, metadata) ?? (Object.hasOwn(OF_SCRAPING, name) ? { type: "gauge", help: OF_SCRAPING[name], unit: "" } : undefined);
  const help = known?.help ?? "";
  const entry = (type: MetricType, isGuess = false): Metric => ({ name, type, help, isGuess, seriesNames: [name] });
  if (known?.type === "gauge" && /_info$/.test(name)) return entry("info");
  if (known?.type === "counter" || known?.type === "gauge" || known?.type === "info") return entry(known.type);
  if (known?.type === "histogram" || known?.type === "gaugehistogram") return entry("native histogram");
  if (known?.type === "summary") return entry("gauge");
  if (/_info$/.test(name)) return entry("info", true);
  if (/_(total|sum|count|bucket)$/.test(name)) return entry("counter", true);
  return entry("unknown", true);
}

/** What the search box asks for: words for name and help, and matchers (`job=node`, `mode=~us.*`) for labels. */
export interface MetricSearch {
  words: string[];
  labels: { label: string; op: "=" | "!=" | "=~" | "!~"; value: string }[];
}

export function parseMetricSearch(text: string): MetricSearch {
  const search: MetricSearch = { words: [], labels: [] };
  for (const part of text.trim().split(/\s+/).filter(Boolean)) {
    const found = /^([A-Za-z_]\w*)(=~|!~|!=|=|:)(.*)$/.exec(part);
    if (!found) search.words.push(part.toLowerCase());
    else if (found[3] === "") search.labels.push({ label: found[1], op: "=~", value: ".+" });
    else search.labels.push({ label: found[1], op: found[2] === ":" ? "=" : (found[2] as "="), value: found[3].replace(/^"(.*)"$/, "$1") });
  }
  return search;
}

/** The metrics that fit all words, the best first; without words all in their order. */
export function searchMetrics(metrics: Metric[], words: string[]): Metric[] {
  if (words.length === 0) return metrics;
  const hits: { metric: Metric; score: number }[] = [];
  for (const metric of metrics) {
    const name = metric.name.toLowerCase();
    const help = metric.help.toLowerCase();
    let score = 0;
    for (const word of words) {
      const points = wordScore(name, help, word);
      if (points === 0) {
        score = 0;
        break;
      }
      score += points;
    }
    if (score > 0) hits.push({ metric, score: score - name.length / 1000 });
  }
  return hits.sort((a, b) => b.score - a.score).map((hit) => hit.metric);
}

function wordScore(name: string, help: string, word: string): number {
  if (name === word) return 100;
  if (name.startsWith(word)) return 60;
  const at = name.indexOf(word);
  if (at > 0) return name[at - 1] === "_" || name[at - 1] === ":" ? 50 : 40;
  if (new RegExp(`\\b${escape(word)}`).test(help)) return 20;
  if (help.includes(word)) return 12;
  return word.length >= 3 && isSubsequence(name, word) ? 6 : 0;
}

const escape = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

/** Whether the letters come in this order, each stretch beginning at a part of the name (`ncst` fits `node_cpu_seconds_total`). */
function isSubsequence(name: string, word: string): boolean {
  let at = 0;
  for (const letter of word) {
    while (at < name.length && !(name[at] === letter && (at === 0 || name[at - 1] === "_" || name[at - 1] === ":" || name.slice(0, at).endsWith(word.slice(0, word.indexOf(letter)))))) at++;
    if (at >= name.length) return false;
    at += 1;
  }
  return true;
}

/** Where the words stand in a name, for highlighting: sorted, not overlapping. */
export function highlightRanges(name: string, words: string[]): { text: string; hit: boolean }[] {
  const marks = new Uint8Array(name.length);
  const lower = name.toLowerCase();
  for (const word of words) {
    const at = lower.indexOf(word);
    if (at >= 0) marks.fill(1, at, at + word.length);
  }
  const parts: { text: string; hit: boolean }[] = [];
  for (let i = 0; i < name.length; i++) {
    const hit = marks[i] === 1;
    const last = parts.at(-1);
    if (last && last.hit === hit) last.text += name[i];
    else parts.push({ text: name[i], hit });
  }
  return parts;
}
