/** What the build must keep to, read off the files in dist: sizes, the content policy, licences. No browser, no server. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const DIST = join(ROOT, "dist");
const FIRST_PAINT_MAX = 90_000;
const WHOLE_MAX = 300_000;

const manifest = JSON.parse(readFileSync(join(DIST, ".vite/manifest.json"), "utf8"));
const gzipped = (path) => gzipSync(readFileSync(join(DIST, path)), { level: 9 }).length;

/** Files a chunk needs before it can run: itself, what it imports statically, and their style sheets. */
function closure(name, files = new Set()) {
  const chunk = manifest[name];
  if (files.has(chunk.file)) return files;
  files.add(chunk.file);
  for (const sheet of chunk.css ?? []) files.add(sheet);
  for (const imported of chunk.imports ?? []) closure(imported, files);
  return files;
}

const filesUnder = (folder) => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));

test("the first paint of every page is small", (t) => {
  const pages = manifest["index.html"].dynamicImports;
  assert.equal(pages.length, 4);
  for (const page of pages) {
    const files = closure(page, closure("index.html"));
    const size = gzipped("index.html") + [...files].reduce((sum, file) => sum + gzipped(file), 0);
    t.diagnostic(`${page}: ${(size / 1000).toFixed(1)} kB`);
    assert.ok(size <= FIRST_PAINT_MAX, `${page} needs ${size} bytes`);
    assert.ok(![...files].some((file) => /(codemirror|promql|core)-/.test(file)), "the editor is loaded after first paint");
  }
});

test("the whole UI is small", (t) => {
  const files = filesUnder(join(DIST, "assets"));
  const size = gzipped("index.html") + files.reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 9 }).length, 0);
  t.diagnostic(`${(size / 1000).toFixed(1)} kB in ${files.length + 1} files`);
  assert.ok(size <= WHOLE_MAX, `${size} bytes`);
});

test("assets carry a hash of their contents", () => {
  for (const file of readdirSync(join(DIST, "assets"))) assert.match(file, /-[\w-]{8}\.(js|css|svg)$/);
});

test("the page holds no inline script or style and names no other host", () => {
  const html = readFileSync(join(DIST, "index.html"), "utf8");
  for (const [, attributes, body] of html.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)) {
    assert.match(attributes, /src="\/assets\//);
    assert.equal(body, "");
  }
  assert.doesNotMatch(html, /<style|style="|https?:\/\/|\son\w+=/);
});

test("no source writes data as markup", () => {
  const sources = filesUnder(join(ROOT, "src")).filter((file) => /\.(ts|svelte)$/.test(file));
  assert.ok(sources.length > 40);
  for (const file of sources) {
    const text = readFileSync(file, "utf8");
    assert.doesNotMatch(text, /\{@html|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, file);
    if (file.endsWith(".svelte")) assert.doesNotMatch(text, /\sstyle="/, `${file}: inline styles fall to the content policy`);
  }
});

test("every bundled package brings its licence text", () => {
  const text = readFileSync(join(DIST, "THIRD_PARTY_LICENSES.txt"), "utf8");
  for (const name of ["svelte", "uplot", "@uwdata/flechette", "@codemirror/view", "@codemirror/lang-sql", "@lezer/common", "style-mod"]) {
    assert.match(text, new RegExp(`^${name} \\d`, "m"));
  }
  assert.doesNotMatch(text, /GNU (AFFERO |LESSER )?GENERAL PUBLIC LICENSE/i);
});

test("the lock file names no download addresses", () => {
  assert.doesNotMatch(readFileSync(join(ROOT, "package-lock.json"), "utf8"), /"resolved"|https?:\/\/[^"]*registry/);
});
