import { expect, it } from "vitest";
import { baseName, crumbs, logActions, objectKind, parentPrefix, partitionDay, readFileQuery } from "./objectpath";

it("makes breadcrumbs of prefixes and keys", () => {
  expect(crumbs("metrics/day=2026-11-22/")).toEqual([
    { name: "metrics", prefix: "metrics/" },
    { name: "day=2026-11-22", prefix: "metrics/day=2026-11-22/" },
  ]);
  expect(crumbs("metrics/a.parquet").map((crumb) => crumb.name)).toEqual(["metrics", "a.parquet"]);
  expect(crumbs("")).toEqual([]);
});

it("names parts of paths", () => {
  expect([baseName("a/b/"), baseName("a/b.json"), parentPrefix("a/b/"), parentPrefix("a/"), parentPrefix("a/b.json")]).toEqual(["b", "b.json", "a/", "", "a/"]);
  expect([partitionDay("logs/day=2026-11-22/x.parquet"), partitionDay("logs/_delta_log/")]).toEqual(["2026-11-22", null]);
});

it("knows what it can show", () => {
  expect(["a.parquet", "t/_delta_log/0.json", "t/_delta_log/_last_checkpoint", "x.bin"].map(objectKind)).toEqual(["parquet", "text", "text", "other"]);
});

it("quotes the key in the query", () => expect(readFileQuery("m/o'x.parquet")).toBe("SELECT * FROM read_file('m/o''x.parquet') LIMIT 100"));

it("opens a Delta log line by line, with the JSON inside its JSON", () => {
  const text = '{"commitInfo":{"operation":"WRITE"}}\n{"add":{"path":"a","stats":"{\\"numRecords\\":3}"}}\nnot json\n';
  const actions = logActions(text);
  expect(actions.map((entry) => entry.action)).toEqual(["commitInfo", "add", "text"]);
  expect(JSON.parse(actions[1].pretty).add.stats.numRecords).toBe(3);
  expect(actions[2].pretty).toBe("not json");
});
