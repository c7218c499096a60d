/** The PromQL editor proper, loaded after first paint: the shared core with PromQL's colours and completion. */

import { autocompletion, startCompletion, type Completion, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { insertNewlineAndIndent } from "@codemirror/commands";
import { StreamLanguage, type StringStream } from "@codemirror/language";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import type { Metric } from "../../lib/explore/metrics";
import { durationOptions, promContext, type PromContext } from "../../lib/promql/complete";
import { AGGREGATIONS, FUNCTIONS } from "../../lib/promql/functions";
import { labelText, selectorText, type Matcher } from "../../lib/promql/selectors";
import { KEYWORDS, nextToken, startState, type ScanState, type TokenKind } from "../../lib/promql/tokens";
import { mountCore, type Editor } from "./core";

/** Where completion finds names. Answers may be late, and empty when the server cannot tell. */
export interface PromNames {
  metrics(): Metric[];
  labels(selector: string | null): Promise<string[]>;
  values(label: string, selector: string | null): Promise<string[]>;
}

export interface PromHost {
  text: string;
  placeholder: string;
  label: string;
  onText(text: string): void;
  onRun(): void;
  names: PromNames;
}

const language = StreamLanguage.define<ScanState>({
  startState,
  copyState: (state) => ({ ...state }),
  token: (stream, state) => readToken(stream, state),
  languageData: { commentTokens: { line: "#" }, closeBrackets: { brackets: ["(", "[", "{", '"', "'", "`"] } },
  tokenTable: {
    metric: tags.variableName,
    label: tags.propertyName,
    function: tags.function(tags.variableName),
    aggregation: tags.keyword,
    keyword: tags.keyword,
    string: tags.string,
    number: tags.number,
    duration: tags.number,
    comment: tags.lineComment,
    operator: tags.operator,
    bracket: tags.punctuation,
    invalid: tags.invalid,
  } satisfies Record<TokenKind, unknown>,
});

function readToken(stream: StringStream, state: ScanState): string | null {
  if (!state.raw && stream.eatSpace()) return null;
  const token = nextToken(stream.string, stream.pos, state);
  if (!token) {
    stream.skipToEnd();
    return null;
  }
  stream.pos = Math.max(token.to, stream.pos + 1);
  return token.kind;
}

/** Puts a PromQL editor into a shadow root under `element`. */
export function mountPromEditor(element: HTMLElement, host: PromHost): Editor {
  const run = () => (host.onRun(), true);
  return mountCore(element, {
    text: host.text,
    placeholder: host.placeholder,
    label: host.label,
    onText: (text) => host.onText(text),
    keys: [
      { key: "Mod-Enter", run },
      { key: "Shift-Enter", run: insertNewlineAndIndent },
    ],
    extensions: [
      language,
      autocompletion({ override: [(context) => source(context, host.names)], icons: false, maxRenderedOptions: 80, activateOnTypingDelay: 60 }),
      EditorView.theme({ "&": { height: "auto", maxHeight: "220px" }, ".cm-scroller": { overflow: "auto" }, ".cm-content": { padding: "6px 0" }, ".cm-line": { padding: "0 8px" } }),
    ],
  });
}

async function source(context: CompletionContext, names: PromNames): Promise<CompletionResult | null> {
  const found = promContext(context.state.doc.toString(), context.pos);
  if (!found || (found.text === "" && !context.explicit && found.kind === "expression")) return null;
  const options = await optionsOf(found, names);
  if (options.length === 0 || context.aborted) return null;
  if (found.kind === "value") return { from: found.from, to: found.to, options, validFor: /^[^"'`\n]*$/ };
  return { from: found.from, options, validFor: found.kind === "duration" ? /^\w*$/ : /^[\w:.]*$/ };
}

async function optionsOf(found: PromContext, names: PromNames): Promise<Completion[]> {
  switch (found.kind) {
    case "expression":
      return [...metricOptions(names.metrics()), ...FIXED];
    case "label": {
      const labels = await names.labels(scope(found.metric, found.matchers));
      return labels.filter((label) => label !== "__name__" && !found.used.includes(label)).map((label) => ({ label, apply: applyLabel(label) }));
    }
    case "grouping": {
      const lists = await Promise.all((found.metrics.length > 0 ? found.metrics.slice(0, 4) : [null]).map((metric) => names.labels(metric && scope(metric, []))));
      return Array.from(new Set(lists.flat())).filter((label) => label !== "__name__").map((label) => ({ label, apply: labelText(label) }));
    }
    case "value": {
      const values = await names.values(found.label, scope(found.metric, found.matchers));
      return values.map((value) => ({ label: value, apply: applyValue(value, found) }));
    }
    case "duration":
      return durationOptions(found.text).map(({ label, detail }, i) => ({ label, detail, boost: -i }));
  }
}

function scope(metric: string, matchers: Matcher[]): string | null {
  // An unfinished matcher would make the whole question fail, so only those that can match something go along.
  const usable = matchers.filter((matcher) => matcher.value !== "");
  return metric === "" && usable.length === 0 ? null : selectorText(metric, usable);
}

function applyLabel(label: string) {
  return (view: EditorView, _completion: Completion, from: number, to: number) => {
    const insert = `${labelText(label)}=""`;
    view.dispatch({ changes: { from, to, insert }, selection: { anchor: from + insert.length - 1 } });
    startCompletion(view);
  };
}

function applyValue(value: string, found: PromContext & { kind: "value" }) {
  const escaped = found.quote === "`" ? value : value.replace(/\\/g, "\\\\").replaceAll(found.quote, `\\${found.quote}`).replaceAll("\n", "\\n");
  return (view: EditorView, _completion: Completion, from: number, to: number) => {
    const hasEnd = view.state.sliceDoc(to, to + 1) === found.quote;
    view.dispatch({ changes: { from, to: to + Number(hasEnd), insert: escaped + found.quote }, selection: { anchor: from + escaped.length + 1 } });
  };
}

const SUFFIX_TYPES: Record<string, string> = { _bucket: "buckets", _sum: "sum", _count: "count" };
const known = new WeakMap<Metric[], Completion[]>();

function metricOptions(metrics: Metric[]): Completion[] {
  let options = known.get(metrics);
  if (!options) {
    options = metrics.flatMap((metric) =>
      metric.seriesNames.map((name) => ({
        label: name,
        apply: selectorText(name, []),
        detail: SUFFIX_TYPES[name.slice(metric.name.length)] ?? (metric.type === "unknown" ? "" : metric.type),
        boost: 1,
        ...(metric.help ? { info: () => infoNode("", metric.help) } : {}),
      })),
    );
    known.set(metrics, options);
  }
  return options;
}

function infoNode(signature: string, text: string): Node {
  const node = document.createElement("div");
  if (signature) {
    const head = document.createElement("span");
    head.className = "signature";
    head.textContent = signature;
    node.append(head);
  }
  node.append(text);
  return node;
}

function callable(names: typeof FUNCTIONS, detail: string): Completion[] {
  return Array.from(names, ([name, { signature, doc }]) => ({
    label: name,
    detail,
    info: () => infoNode(signature, doc),
    apply: (view: EditorView, _completion: Completion, from: number, to: number) => {
      const isCalled = view.state.sliceDoc(to, to + 1) === "(";
      const insert = isCalled ? name : `${name}()`;
      view.dispatch({ changes: { from, to, insert }, selection: { anchor: from + name.length + 1 } });
    },
  }));
}

const FIXED: Completion[] = [...callable(FUNCTIONS, "function"), ...callable(AGGREGATIONS, "aggregation"), ...KEYWORDS.map((label) => ({ label, detail: "keyword", boost: -1 }))];
