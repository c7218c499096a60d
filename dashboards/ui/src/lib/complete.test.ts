import { describe, expect, it } from "vitest";
import { completeSql, tableUses, type CompletionCatalog } from "./complete";

const catalog: CompletionCatalog = {
  schemas: [
    {
      name: "public",
      tables: [
        { name: "logs", columns: [{ name: "ts", type: "timestamp" }, { name: "host", type: "string" }] },
        { name: "metrics", columns: [{ name: "ts", type: "timestamp" }, { name: "metric", type: "string" }] },
      ],
    },
    { name: "prom", tables: [{ name: "up", columns: [{ name: "instance", type: "string" }] }, { name: "node_memory_MemTotal_bytes" }] },
  ],
  functions: ["date_bin"],
};

/** The labels offered at `|`. */
function offered(marked: string): string[] | null {
  const position = marked.indexOf("|");
  const found = completeSql(marked.replace("|", ""), position, catalog);
  return found && found.suggestions.map((suggestion) => suggestion.label);
}

describe("completeSql", () => {
  it("offers columns of every table before FROM is written", () => expect(offered("SELECT ho|")).toContain("host"));
  it("offers only the columns of the tables in FROM", () => {
    expect(offered("SELECT | FROM metrics")).toContain("metric");
    expect(offered("SELECT | FROM metrics")).not.toContain("host");
  });
  it("offers tables and schemas after FROM and JOIN", () => {
    expect(offered("SELECT 1 FROM |")).toEqual(["logs", "metrics", "public", "prom"]);
    expect(offered("SELECT 1 FROM logs JOIN m|")).toContain("metrics");
  });
  it("follows schemas, tables and aliases", () => {
    expect(offered("SELECT * FROM prom.|")).toEqual(["up", "node_memory_MemTotal_bytes"]);
    expect(offered("SELECT l.| FROM logs AS l")).toEqual(["ts", "host"]);
    expect(offered("SELECT up.| FROM prom.up")).toEqual(["instance"]);
    expect(offered("SELECT x.| FROM logs")).toEqual([]);
  });
  it("quotes names that would fold", () => {
    const text = "SELECT * FROM prom.node";
    const found = completeSql(text, text.length, catalog);
    expect(found?.from).toBe(text.length - 4);
    expect(found?.suggestions[1].insert).toBe('"node_memory_MemTotal_bytes"');
  });
  it("begins at an open quote", () => {
    const text = 'SELECT * FROM prom."node';
    expect(completeSql(text, text.length, catalog)?.from).toBe(text.indexOf('"'));
  });
  it("asks for the columns it lacks", () => {
    const text = 'SELECT  FROM prom."node_memory_MemTotal_bytes"';
    expect(completeSql(text, 7, catalog)?.missing).toEqual(["node_memory_MemTotal_bytes"]);
  });
  it("is silent in strings and comments", () => {
    expect([offered("SELECT 'ho|'"), offered("SELECT 'ho|"), offered("-- ho|"), offered("/* ho|")]).toEqual([null, null, null, null]);
    expect(offered("SELECT 'a' |")).not.toBeNull();
  });
});

it("does not take a keyword for an alias", () => {
  expect(tableUses("FROM logs WHERE x JOIN prom.up u ON 1")).toEqual([
    { schema: null, table: "logs", alias: null },
    { schema: "prom", table: "up", alias: "u" },
  ]);
});
