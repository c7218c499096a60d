/** The pages in a real browser under the strict policy: what they show, what they must never do, what the keys do. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { hasProm, openBrowser, openPage, sqlPath, usesMock } from "./browser.mjs";
import { HOSTILE } from "./mock-data.mjs";

let browser;
before(async () => (browser = await openBrowser()));
after(() => browser?.close());

async function withPage(path, options, work) {
  const page = await openPage(browser, path, options);
  try {
    await work(page);
  } finally {
    await page.close();
  }
}

const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

for (const [path, heading] of [["/", "Targets"], ...(hasProm ? [["/explore", "Pick a metric, or start here"]] : []), ["/sql", "Ask something"], ["/objects", "Tables"]]) {
  test(`${path} renders without a complaint and without leaving the origin`, () =>
    withPage(path, {}, async (page) => {
      await page.getByRole("heading", { name: heading, exact: true }).waitFor();
      await page.waitForLoadState("networkidle");
      await page.waitForTimeout(300);
      assert.deepEqual(page.problems, []);
    }));

  test(`${path} fits 390 px, in dark and light`, async () => {
    const backgrounds = [];
    for (const colorScheme of ["dark", "light"]) {
      await withPage(path, { viewport: { width: 390, height: 844 }, media: { colorScheme } }, async (page) => {
        await page.getByRole("heading", { name: heading, exact: true }).waitFor();
        await page.waitForTimeout(300);
        assert.ok((await overflow(page)) <= 0, `${await overflow(page)} px too wide`);
        backgrounds.push(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor));
      });
    }
    assert.notEqual(backgrounds[0], backgrounds[1]);
  });
}

test("the server sends the policy the page is tested under", { skip: !usesMock }, async () => {
  const response = await fetch(`${browser.base}/`);
  assert.match(response.headers.get("content-security-policy"), /^default-src 'self';/);
  assert.doesNotMatch(response.headers.get("content-security-policy"), /unsafe/);
});

test("an unknown path is a page of its own", () =>
  withPage("/no/such/page", {}, async (page) => {
    await page.getByRole("heading", { name: "Nothing here" }).waitFor();
    await page.getByRole("link", { name: "SQL" }).first().click();
    await page.getByText("Ask something").waitFor();
    assert.equal(new URL(page.url()).pathname, "/sql");
  }));

test("home draws the host's charts, with a table twin", () =>
  withPage("/", {}, async (page) => {
    await page.locator("canvas").first().waitFor();
    if (usesMock) assert.equal(await page.locator("canvas").count(), 5);
    const label = await page.getByRole("img", { name: /^CPU busy/ }).getAttribute("aria-label");
    assert.match(label, /user: now [\d.]+ %, between/);
    await page.getByRole("button", { name: "Numbers" }).first().click();
    const numbers = page.getByRole("region", { name: "CPU busy, numbers" });
    await numbers.waitFor();
    assert.ok((await numbers.locator("tbody tr").count()) > 3);
  }));

test("home shows targets and probes, the broken first", { skip: !usesMock }, () =>
  withPage("/", {}, async (page) => {
    const targets = page.getByRole("region", { name: "Targets" });
    await targets.getByText("timed out after 10s").waitFor();
    assert.match(await targets.locator("tbody tr").first().innerText(), /down\s+prosody/);
    const probes = page.getByRole("region", { name: "Probes" });
    assert.match(await probes.locator("tbody tr").first().innerText(), /connect_timeout\s+chat/);
    assert.equal(await probes.locator("svg").count(), 6);
    await probes.getByRole("link", { name: "website" }).first().click();
    await page.getByTestId("row-count").waitFor();
  }));

test("the range is in the URL, and brushing a chart makes a fixed one", () =>
  withPage("/?range=6h", {}, async (page) => {
    assert.equal(await page.getByRole("button", { name: "6h" }).getAttribute("aria-pressed"), "true");
    const plot = page.locator(".u-over").first();
    await plot.waitFor();
    const box = await plot.boundingBox();
    await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 40, { steps: 5 });
    await page.mouse.up();
    await page.waitForURL(/from=\d+&to=\d+/);
    const url = new URL(page.url());
    const seconds = (Number(url.searchParams.get("to")) - Number(url.searchParams.get("from"))) / 1000;
    assert.ok(Math.abs(seconds - 0.3 * 21_600) < 600, `${seconds} s brushed`);
    await page.getByRole("button", { name: "1h" }).click();
    await page.waitForURL(/range=1h/);
    await page.goBack();
    await page.waitForURL(/from=/);
  }));

test("one cursor runs through all charts", { skip: !usesMock }, () =>
  withPage("/", {}, async (page) => {
    await page.locator(".u-over").nth(4).waitFor();
    const box = await page.locator(".u-over").first().boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + 50);
    await page.waitForTimeout(200);
    const shown = await page.locator(".legend .when").allInnerTexts();
    assert.equal(shown.filter((text) => /\d\d:\d\d:\d\d/.test(text)).length, 5);
  }));

test("an empty store says what to do", { skip: !usesMock }, async () => {
  browser.mock.state.empty = true;
  try {
    await withPage("/", {}, async (page) => {
      await page.getByText("No targets yet").waitFor();
      await page.getByText("No host metrics yet").waitFor();
      await page.getByText("No probe results in the last six hours").waitFor();
    });
    await withPage("/objects", {}, async (page) => {
      await page.getByText("No tables yet").waitFor();
      await page.getByText("Nothing here yet").waitFor();
    });
  } finally {
    browser.mock.state.empty = false;
  }
});

test("a backend that goes away is announced, and found again", { skip: !usesMock }, () =>
  withPage("/", {}, async (page) => {
    await page.locator("canvas").first().waitFor();
    browser.mock.state.down = true;
    try {
      await page.getByRole("button", { name: "1h" }).click();
      await page.getByText("Backend unreachable.").waitFor();
    } finally {
      browser.mock.state.down = false;
    }
    await page.getByRole("button", { name: "Retry" }).click();
    await page.getByText("Backend unreachable.").waitFor({ state: "detached" });
  }));

test("keys go everywhere and the theme stays chosen", () =>
  withPage("/", { media: { colorScheme: "light" } }, async (page) => {
    await page.getByText("Targets", { exact: true }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("o");
    await page.waitForURL(/\/objects$/);
    await page.getByLabel("Filter names").waitFor();
    await page.keyboard.press("/");
    await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "Filter names");
    await page.keyboard.press("Escape");
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press("g");
    await page.keyboard.press("h");
    await page.waitForURL(`${browser.base}/`);
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.keyboard.press("t");
    await page.keyboard.press("t");
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
    await page.reload();
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
    await page.evaluate(() => localStorage.clear());
  }));

test("objects: from the table to the rows of a file, each step a URL", { skip: !usesMock }, () =>
  withPage("/objects", {}, async (page) => {
    await page.getByRole("columnheader", { name: "hourly" }).waitFor();
    await page.getByRole("link", { name: "metrics", exact: true }).click();
    await page.getByText("Days of metrics").waitFor();
    await page.getByText("6 fresh, 3 hourly files").waitFor();
    await page.getByRole("link", { name: /^day=/ }).first().click();
    await page.getByRole("link", { name: /part-00000/ }).click();
    await page.getByText("parquet-rs version 59.0.0").waitFor();
    await page.getByRole("tab", { name: "Row groups" }).click();
    await page.getByText("BYTE_STREAM_SPLIT").first().waitFor();
    await page.getByRole("tab", { name: "Metadata" }).click();
    await page.getByText("metric,tsid,ts").waitFor();
    await page.getByRole("tab", { name: "First rows" }).click();
    await page.getByRole("grid", { name: "First rows" }).getByText("nginx").first().waitFor();
    const again = await browser.context.newPage();
    await again.goto(page.url());
    await again.getByRole("grid", { name: "First rows" }).getByText("nginx").first().waitFor();
    await again.close();
    await page.getByRole("link", { name: "Query this file" }).click();
    await page.waitForURL(/\/sql#q=SELECT/);
    assert.match(decodeURIComponent(page.url()), /read_file\('metrics\/day=[\d-]+\/part-00000-7c1e\.parquet'\)\+LIMIT\+100/);
    assert.deepEqual(page.problems, []);
  }));

test("objects: a Delta log opens action by action, a lost file says so", { skip: !usesMock }, async () => {
  await withPage("/objects?key=metrics/_delta_log/00000000000000000853.json", {}, async (page) => {
    await page.getByText('"numRecords": 262144').waitFor();
  });
  await withPage("/objects?key=metrics/missing.parquet", {}, async (page) => {
    await page.getByText("does not exist").waitFor();
  });
});

test("hostile names stay text on every page", { skip: !usesMock }, async () => {
  const paths = ["/", "/explore?metric=hostile_gauge#q=hostile_gauge", "/explore?view=table#q=hostile_gauge", "/objects", "/objects?key=metrics/x.parquet&tab=groups", sqlPath("SELECT service, count(*) AS lines FROM logs GROUP BY service", "?view=chart"), sqlPath("SELECT * FROM logs")];
  for (const path of paths) {
    await withPage(path, {}, async (page) => {
      await page.getByText(HOSTILE).first().waitFor();
      await page.waitForTimeout(200);
      assert.equal(await page.evaluate(() => window.__pwned), undefined);
      assert.equal(await page.locator("img").count(), 0);
      assert.deepEqual(page.problems, []);
    });
  }
});
