/** The SQL editor proper, loaded after first paint: the shared core with SQL's colours and completion from the catalog. */

import { autocompletion, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { indentWithTab } from "@codemirror/commands";
import { keywordCompletionSource, sql } from "@codemirror/lang-sql";
import { highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { completeSql, type CompletionCatalog } from "../../lib/complete";
import { mountCore, type Editor } from "./core";
import { dialect } from "./dialect";

export type { Editor, EditorMark } from "./core";

export interface EditorHost {
  text: string;
  placeholder: string;
  onText(text: string): void;
  onRun(): void;
  catalog(): CompletionCatalog;
  /** Loads columns of metrics the query names; the editor asks again when they are there. */
  loadMetrics(metrics: string[]): Promise<void>;
}

/** Puts an SQL editor into a shadow root under `element`. */
export function mountEditor(element: HTMLElement, host: EditorHost): Editor {
  const keywords = keywordCompletionSource(dialect, true);
  return mountCore(element, {
    text: host.text,
    placeholder: host.placeholder,
    label: "SQL query",
    onText: (text) => host.onText(text),
    keys: [{ key: "Mod-Enter", run: () => (host.onRun(), true) }],
    extensions: [
      lineNumbers(),
      highlightActiveLine(),
      sql({ dialect }),
      autocompletion({ override: [(context) => catalogSource(context, host), keywords], icons: false, maxRenderedOptions: 60 }),
      keymap.of([indentWithTab]),
    ],
  });
}

const BOOST = { column: 3, table: 2, schema: 1, function: 0 };

async function catalogSource(context: CompletionContext, host: EditorHost): Promise<CompletionResult | null> {
  const text = context.state.doc.toString();
  let found = completeSql(text, context.pos, host.catalog());
  if (found && found.missing.length > 0) {
    await host.loadMetrics(found.missing);
    if (context.aborted) return null;
    found = completeSql(text, context.pos, host.catalog());
  }
  if (!found || found.suggestions.length === 0) return null;
  const isAfterDot = text[found.from - 1] === ".";
  if (found.from === context.pos && !context.explicit && !isAfterDot) return null;
  return {
    from: found.from,
    options: found.suggestions.map((suggestion) => ({ label: suggestion.label, apply: suggestion.insert, detail: suggestion.detail, boost: BOOST[suggestion.kind] })),
    validFor: /^[\p{L}\p{N}_$]*$/u,
  };
}
