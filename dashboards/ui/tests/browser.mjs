/**
 * Starts Chromium and the server under test for the browser tests. With `BASE_URL` the tests run against that backend;
 * without it against the mock. Every page collects what must not happen: errors on the console, requests elsewhere.
 */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { startMock } from "./mock-server.mjs";

const CHROMIUM = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => existsSync(path));
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];

export const usesMock = !process.env.BASE_URL;

/** Whether the server under test answers PromQL. */
export const hasProm = usesMock || (await fetch(`${process.env.BASE_URL.replace(/\/$/, "")}/api/v1/query?query=1`).then((response) => response.ok, () => false));

export async function openBrowser() {
  if (!CHROMIUM) throw new Error("no Chromium found; install Debian's package chromium or set CHROMIUM");
  const profile = mkdtempSync(join(tmpdir(), "atl-ui-test-"));
  const context = await chromium.launchPersistentContext(profile, { executablePath: CHROMIUM, args: FLAGS, viewport: { width: 1440, height: 900 }, acceptDownloads: true });
  const mock = usesMock ? await startMock() : null;
  const base = (process.env.BASE_URL ?? mock.url).replace(/\/$/, "");
  return {
    context,
    base,
    mock,
    async close() {
      await context.close();
      await mock?.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/** A fresh page at `path`; `page.problems` gathers console errors, policy violations and requests to other origins. */
export async function openPage(browser, path, options = {}) {
  const page = await browser.context.newPage();
  const problems = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`page: ${error.message}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${browser.base}/`) && !url.startsWith("data:") && !url.startsWith("blob:")) problems.push(`request: ${url}`);
  });
  if (options.viewport) await page.setViewportSize(options.viewport);
  if (options.media) await page.emulateMedia(options.media);
  await page.goto(browser.base + path);
  page.problems = problems;
  return page;
}

export const sqlPath = (query, search = "") => `/sql${search}#${new URLSearchParams({ q: query })}`;
