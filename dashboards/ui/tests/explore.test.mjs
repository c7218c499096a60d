/**
 * The explore page in a real browser: metric browser, editor, graph, table, explanation, URL. Runs against every server
 * that answers PromQL; what needs the mock's own series says so.
 */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { hasProm, openBrowser, openPage, usesMock } from "./browser.mjs";
import { HOSTILE } from "./mock-data.mjs";

const skip = hasProm ? false : "the server does not answer /api/v1/query yet";
const mockOnly = { skip: !usesMock };

let browser;
before(async () => (browser = await openBrowser()));
after(() => browser?.close());

async function withPage(path, work, options) {
  const page = await openPage(browser, path, options);
  try {
    await work(page);
  } finally {
    await page.close();
  }
}

const path = (queries, search = "") => `/explore${search}#${new URLSearchParams([queries].flat().map((query) => ["q", query]))}`;
const queriesOf = (page) => new URLSearchParams(new URL(page.url()).hash.slice(1)).getAll("q");
const editor = (page, letter = "A") => page.getByRole("group", { name: `Query ${letter}` }).locator(".cm-content");
const facts = (page) => page.getByTestId("facts");
const answered = (page) => facts(page).getByText(/\d+ series/).waitFor();
const graph = (page) => page.locator(".u-over").first();
const legend = (page) => page.getByRole("table", { name: /^Series of/ });
const metricList = (page) => page.getByRole("listbox", { name: "Metrics" });

/** Types over what the editor holds. */
async function retype(page, text, letter = "A") {
  await editor(page, letter).click();
  await page.keyboard.press("Control+a");
  await page.keyboard.type(text);
}

test("a click on a counter draws its rate, and the URL says so", { skip }, () =>
  withPage("/explore", async (page) => {
    await page.getByLabel("Find metrics").fill("node_cpu_seconds_total");
    await metricList(page).getByRole("option", { name: /node_cpu_seconds_total/ }).first().click();
    await graph(page).waitFor();
    assert.match(queriesOf(page)[0], /^rate\(node_cpu_seconds_total\[\w+\]\)$/);
    assert.equal(new URL(page.url()).searchParams.get("metric"), "node_cpu_seconds_total");
    const panel = page.getByRole("region", { name: "The metric node_cpu_seconds_total" });
    await panel.getByRole("button", { name: "Sum of rates" }).click();
    await page.waitForURL(/sum/);
    await page.goBack();
    await page.waitForURL((url) => !url.hash.includes("sum"));
    assert.match(await editor(page).innerText(), /^rate\(/);
    assert.deepEqual(page.problems, []);
  }));

test("facets narrow the query and count series", { skip }, () =>
  withPage(path("rate(node_cpu_seconds_total[5m])", "?metric=node_cpu_seconds_total"), async (page) => {
    const mode = page.getByRole("group", { name: "Label mode" });
    const idle = mode.locator("li", { hasText: "idle" });
    await idle.waitFor();
    assert.ok(Number(await idle.locator(".number").innerText()) >= 1);
    await mode.getByRole("button", { name: "idle", exact: false }).first().click();
    await page.waitForURL(/mode/);
    assert.equal(queriesOf(page)[0], 'rate(node_cpu_seconds_total{mode="idle"}[5m])');
    await mode.getByRole("button", { name: /^user/ }).or(mode.getByRole("button", { name: /user/ })).first().click();
    await page.waitForFunction(() => decodeURIComponent(location.hash).includes('=~"idle|user"'));
    await mode.getByRole("button", { name: "clear" }).click();
    await page.waitForFunction(() => !location.hash.includes("mode"));
    await mode.getByRole("button", { name: "Leave out idle" }).click();
    await page.waitForFunction(() => decodeURIComponent(location.hash).includes('mode!="idle"'));
  }));

test("histograms are drawn as quantiles, gauges as they are", mockOnly, () =>
  withPage("/explore", async (page) => {
    await page.getByLabel("Find metrics").fill("http_request");
    await page.getByLabel("Find metrics").press("Enter");
    await answered(page);
    assert.deepEqual(await legend(page).locator(".name").allInnerTexts(), ["p50", "p95", "p99"]);
    assert.match(queriesOf(page)[2], /^histogram_quantile\(0\.99, sum by \(le\) \(rate\(http_request_duration_seconds_bucket\[/);
    await page.getByLabel("Find metrics").fill("load average");
    await page.getByRole("option", { name: /node_load1/ }).click();
    await page.waitForFunction(() => location.hash === "#q=node_load1");
  }));

test("five thousand metrics: a screenful of elements, found by name, help, type and label", mockOnly, () =>
  withPage("/explore", async (page) => {
    const rows = metricList(page).getByRole("option");
    await rows.first().waitFor();
    assert.ok((await rows.count()) < 60, `${await rows.count()} rows in the document`);
    assert.equal(await rows.first().getAttribute("aria-setsize"), String(8 + 5_000));
    await metricList(page).evaluate((list) => (list.scrollTop = list.scrollHeight));
    await rows.filter({ hasText: "rpc_latency_seconds" }).waitFor();
    await page.getByLabel("Find metrics").fill("bulk 4321");
    assert.match(await rows.first().innerText(), /bulk_4321_total/);
    await page.getByLabel("Find metrics").fill("mode=idle");
    await page.getByText("1 of 5").waitFor();
    assert.match(await rows.first().innerText(), /node_cpu_seconds_total/);
    await page.getByLabel("Find metrics").fill("");
    await page.getByRole("group", { name: "Types" }).getByRole("button", { name: "summary" }).click();
    assert.equal(await rows.count(), 1);
  }));

test("the browser and the editor work by keys alone", { skip }, () =>
  withPage("/explore", async (page) => {
    await metricList(page).getByRole("option").first().waitFor();
    await page.getByLabel("Find metrics").focus();
    await page.keyboard.type("node_load1");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => location.hash.startsWith("#q=node_load1"));
    await editor(page).waitFor();
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press("/");
    await page.keyboard.press("End");
    await page.keyboard.type(" * 2");
    await page.keyboard.press("Control+Enter");
    await page.waitForFunction(() => new URLSearchParams(location.hash.slice(1)).get("q").endsWith("* 2"));
    await answered(page);
  }));

test("completion offers metrics, functions with their signature, labels and values", { skip }, () =>
  withPage("/explore", async (page) => {
    await metricList(page).getByRole("option").first().waitFor();
    await editor(page).click();
    const options = page.locator(".cm-tooltip-autocomplete li");
    // The editor ignores keys for a moment after the list came, lest one typed on takes something by accident.
    const accept = async () => {
      await page.waitForTimeout(250);
      await page.keyboard.press("Enter");
    };
    await page.keyboard.type("rat");
    await options.filter({ hasText: /^rate/ }).first().waitFor();
    await page.locator(".cm-completionInfo").getByText(/→/).waitFor();
    await accept();
    await page.keyboard.type("node_cpu_sec");
    await options.filter({ hasText: "node_cpu_seconds_total" }).first().waitFor();
    await accept();
    await page.keyboard.type("{mod");
    await options.filter({ hasText: /^mode/ }).waitFor();
    await accept();
    await options.filter({ hasText: /^idle/ }).waitFor();
    await page.keyboard.type("id");
    await accept();
    assert.equal(await editor(page).innerText(), 'rate(node_cpu_seconds_total{mode="idle"})');
    assert.ok((await page.locator(".cm-line span").count()) > 3, "the text is coloured");
    assert.deepEqual(page.problems, []);
  }));

test("an error is underlined where the server names it", { skip }, () =>
  withPage("/explore", async (page) => {
    await editor(page).click();
    await page.keyboard.type("sum(ratee(node_load1[5m]");
    await page.keyboard.press("Control+Enter");
    await page.getByRole("alert").getByText(/parse error/).waitFor();
    await page.locator(".cm-lintRange-error").waitFor();
    if (usesMock) assert.equal(await page.locator(".cm-lintRange-error").innerText(), "ratee");
    await retype(page, "1");
    await page.locator(".cm-lintRange-error").waitFor({ state: "detached" });
  }));

test("several queries share a graph, go off and on, and get a graph each", { skip }, () =>
  withPage(path(["node_load1", "node_load1 * 2"]), async (page) => {
    await graph(page).waitFor();
    const names = await legend(page).locator(".name").allInnerTexts();
    assert.ok(names.some((name) => name.startsWith("A ")) && names.some((name) => name.startsWith("B ")), names.join());
    await page.getByRole("button", { name: "Query B is on" }).click();
    await page.waitForURL(/off=B/);
    await page.getByRole("button", { name: "Query B is off" }).click();
    await page.waitForURL((url) => !url.hash.includes("off="));
    await page.getByLabel("a graph for each query").check();
    await page.locator(".u-over").nth(1).waitFor();
    await page.getByRole("button", { name: "Remove query A" }).click();
    await page.waitForFunction(() => new URLSearchParams(location.hash.slice(1)).getAll("q").length === 1);
    assert.deepEqual(queriesOf(page), ["node_load1 * 2"]);
  }));

test("brushing zooms, and back returns", { skip }, () =>
  withPage(path("node_load1", "?range=15m"), async (page) => {
    await graph(page).waitFor();
    const box = await graph(page).boundingBox();
    await page.mouse.move(box.x + box.width * 0.25, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 60, { steps: 5 });
    await page.mouse.up();
    await page.waitForURL(/from=\d+&to=\d+/);
    const { searchParams } = new URL(page.url());
    assert.ok(Math.abs((Number(searchParams.get("to")) - Number(searchParams.get("from"))) / 1000 - 225) < 30);
    await page.goBack();
    await page.waitForURL(/range=15m/);
  }));

test("the range picker takes typed moments, quick ranges, steps and refresh", { skip }, () =>
  withPage(path("node_load1"), async (page) => {
    const picker = page.getByRole("group", { name: "Time", exact: true });
    await picker.getByLabel("Time range: Last 1h").click();
    await picker.getByLabel("From").fill("yesterday-ish");
    await picker.getByRole("button", { name: "Apply" }).click();
    await picker.getByRole("alert").getByText(/not a time/).waitFor();
    await picker.getByLabel("From").fill("2026-01-02 03:04:05Z");
    await picker.getByLabel("To", { exact: true }).fill("2026-01-02 04:04:05Z");
    await picker.getByRole("button", { name: "Apply" }).click();
    await page.waitForURL(/from=1767323045000&to=1767326645000/);
    await picker.getByLabel(/^Time range/).click();
    await picker.getByRole("button", { name: "30m", exact: true }).click();
    await page.waitForURL(/range=30m/);
    await picker.getByLabel("Step").selectOption("30s");
    await page.waitForURL(/step=30s/);
    await picker.getByLabel("Refresh").selectOption("5s");
    await page.waitForURL(/refresh=5s/);
  }));

test("the legend sorts, isolates and hides, and a link brings all of it back", mockOnly, () =>
  withPage(path("node_cpu_seconds_total", "?range=15m"), async (page) => {
    await graph(page).waitFor();
    await legend(page).getByRole("button", { name: "max" }).click();
    await page.waitForURL(/legend=-max/);
    const first = await legend(page).locator(".name").first().innerText();
    await legend(page).locator(".name").first().click();
    await page.waitForURL(/only=/);
    await legend(page).getByText("1 of 16").waitFor();
    const again = await browser.context.newPage();
    await again.goto(page.url());
    await legend(again).getByText("1 of 16").waitFor();
    assert.equal(await legend(again).locator(".name").first().innerText(), first);
    await again.close();
    await legend(page).getByRole("button", { name: "show all" }).click();
    await legend(page).locator(".colour").nth(1).click();
    await page.waitForURL(/hide=/);
    await legend(page).getByText("15 of 16").waitFor();
  }));

test("the tooltip follows the pointer and names values", { skip }, () =>
  withPage(path("node_load1", "?range=15m"), async (page) => {
    await graph(page).waitFor();
    const box = await graph(page).boundingBox();
    await page.mouse.move(box.x + box.width - 12, box.y + box.height / 2);
    await page.locator(".tip-value").first().waitFor();
    assert.match(await page.locator(".tip .when").innerText(), /\d\d:\d\d:\d\d/);
  }));

test("gaps stay gaps, and what cannot be drawn is counted", mockOnly, () =>
  withPage(path("app_gappy", "?range=1h&step=15s"), async (page) => {
    await page.getByText(/\d+ samples are NaN or infinite/).waitFor();
    await page.getByRole("button", { name: "Numbers" }).click();
    const numbers = page.getByRole("region", { name: /numbers$/ });
    const cells = await numbers.locator("td").allInnerTexts();
    assert.ok(cells.includes("–") && cells.some((text) => text !== "–"));
  }));

test("the table has a column a label, and sorts", { skip }, () =>
  withPage(path("node_cpu_seconds_total", "?view=table"), async (page) => {
    const grid = page.getByRole("grid", { name: "Result" });
    await grid.getByRole("columnheader", { name: /^mode/ }).waitFor();
    const value = grid.getByRole("columnheader", { name: /^value/ }).getByRole("button");
    await value.click();
    await page.waitForURL(/sort=value/);
    const column = await grid.getByRole("columnheader", { name: /^value/ }).getAttribute("aria-colindex");
    const numbers = (await grid.locator(`[aria-colindex="${column}"][role=gridcell]`).allInnerTexts()).map(Number);
    assert.deepEqual(numbers, numbers.toSorted((a, b) => a - b));
  }));

test("native histograms are shown as count, sum and quantiles", mockOnly, async () => {
  await withPage(path("rpc_latency_seconds", "?view=table"), async (page) => {
    const grid = page.getByRole("grid", { name: "Result" });
    for (const name of ["count", "sum", "average", "p50", "p95", "p99", "buckets"]) await grid.getByRole("columnheader", { name: new RegExp(`^${name}`) }).waitFor();
    await grid.getByText("52.5").waitFor();
  });
  await withPage(path("rpc_latency_seconds"), async (page) => {
    await page.getByText(/native histograms, drawn as quantiles/).waitFor();
    assert.equal(await legend(page).locator(".name").count(), 3);
  });
});

test("remarks of the server stand under their query", mockOnly, () =>
  withPage(path("increase(node_load1[5m])"), async (page) => {
    await page.getByRole("group", { name: "Query A" }).getByText(/might not be a counter/).waitFor();
  }));

test("explain shows the tree with series, what was read, and the way to SQL", { skip }, () =>
  withPage(path('sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[5m])) / on (instance) node_load1', "?view=explain"), async (page) => {
    const tree = page.getByRole("list", { name: "Expression" });
    await tree.getByText("node_load1").waitFor();
    await tree.getByText(/\d+ series/).first().waitFor();
    const cost = page.getByRole("region", { name: "Cost" });
    await cost.getByText("total queryable samples").waitFor();
    if (usesMock) {
      await cost.getByText("403 KiB").waitFor();
      assert.equal(await tree.getByRole("listitem").count(), 5);
      assert.equal(await tree.getByRole("listitem").nth(3).getAttribute("aria-level"), "4");
    }
    const link = await tree.getByRole("link", { name: "open in SQL" }).first().getAttribute("href");
    assert.match(decodeURIComponent(link), /FROM\+promql\('/);
    assert.deepEqual(page.problems, []);
  }));

test("hostile labels, help and queries stay text", mockOnly, () =>
  withPage(path(["hostile_gauge", `{note=${JSON.stringify(HOSTILE)}}`], "?metric=hostile_gauge"), async (page) => {
    await page.getByRole("region", { name: "The metric hostile_gauge" }).getByText(HOSTILE).first().waitFor();
    await legend(page).getByText("<img src=x onerror=").first().waitFor();
    const box = await graph(page).boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.locator(".tip-name").first().waitFor();
    assert.equal(await page.evaluate(() => window.__pwned), undefined);
    assert.equal(await page.locator("img").count(), 0);
    assert.deepEqual(page.problems, []);
  }));

test("history keeps what ran, over a reload", { skip }, () =>
  withPage(path("node_load1 + 41"), async (page) => {
    await answered(page);
    await page.goto(`${browser.base}/explore`);
    await page.getByRole("tab", { name: "History" }).click();
    await page.getByLabel("Find in the history").fill("41");
    await page.locator(".side li button", { hasText: "node_load1 + 41" }).click();
    await page.waitForURL(/q=node_load1/);
    await answered(page);
  }));

test("the home page's charts lead here", { skip }, () =>
  withPage("/", async (page) => {
    await page.getByRole("link", { name: "Explore CPU busy" }).click();
    await page.waitForURL(/\/explore\?/);
    await answered(page);
    assert.match(queriesOf(page)[0], /node_cpu_seconds_total/);
  }));

test("an empty store and a lost server say so", mockOnly, async () => {
  browser.mock.state.empty = true;
  try {
    await withPage("/explore", async (page) => page.getByText("No metrics yet").waitFor());
  } finally {
    browser.mock.state.empty = false;
  }
  browser.mock.state.down = true;
  try {
    await withPage(path("node_load1"), async (page) => {
      await page.getByText(/metrics could not be listed/).waitFor();
      await page.getByText("No answer").waitFor();
    });
  } finally {
    browser.mock.state.down = false;
  }
});

test("a hundred thousand points are drawn at once", { ...mockOnly }, (t) =>
  withPage(path("points(100)", "?from=1767323000000&to=1767323999000&step=1s"), async (page) => {
    await facts(page).getByText(/^100 series · 100.000 points/).waitFor();
    await page.locator("canvas").waitFor();
    const times = [];
    for (let i = 0; i < 5; i++) {
      await page.getByRole("button", { name: "Numbers" }).click();
      await page.getByRole("region", { name: /numbers$/ }).waitFor();
      const button = await page.getByRole("button", { name: "Chart", exact: true }).elementHandle();
      times.push(
        await page.evaluate(async (element) => {
          const start = performance.now();
          element.click();
          while (!document.querySelector("canvas")) await new Promise((resolve) => setTimeout(resolve));
          await new Promise(requestAnimationFrame);
          await new Promise((resolve) => setTimeout(resolve));
          return performance.now() - start;
        }, button),
      );
    }
    const median = times.sort((a, b) => a - b)[2];
    t.diagnostic(`from click to painted chart: ${median.toFixed(0)} ms (median of 5)`);
    assert.ok(median < 1_000, `${median.toFixed(0)} ms`);
  }));
