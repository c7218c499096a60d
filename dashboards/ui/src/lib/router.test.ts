import { expect, it, vi } from "vitest";
import { Router, type RouterWindow } from "./router";

/** A window with just a location, a history and event listeners. */
function fakeWindow(start: string) {
  let url = new URL(start, "http://atl");
  const steps: string[] = [];
  const listeners = new Map<string, (event: unknown) => void>();
  const move = (kind: string) => (_state: unknown, _title: string, href?: string | URL | null) => {
    url = new URL(String(href), url);
    steps.push(`${kind} ${href}`);
  };
  const win = {
    get location() {
      return url;
    },
    history: { pushState: move("push"), replaceState: move("replace") },
    addEventListener: (type: string, listener: (event: unknown) => void) => listeners.set(type, listener),
    removeEventListener: (type: string) => listeners.delete(type),
  } as unknown as RouterWindow;
  return { win, steps, fire: (type: string, event: unknown) => listeners.get(type)?.(event), moveTo: (href: string) => (url = new URL(href, url)) };
}

const click = (href: string, extra: Record<string, unknown> = {}, link: Record<string, unknown> = {}) => {
  const anchor = { href, target: "", dataset: {}, hasAttribute: () => false, ...link };
  return { button: 0, defaultPrevented: false, preventDefault: vi.fn(), target: { closest: () => anchor }, ...extra };
};

it("reads and changes the place", () => {
  const { win, steps } = fakeWindow("/objects/?prefix=logs/#x");
  const router = new Router(win);
  expect(router.place.path).toBe("/objects");
  const heard = vi.fn();
  router.subscribe(heard);
  router.setParams({ prefix: null, key: "a b" }, { replace: true });
  expect(steps).toEqual(["replace /objects?key=a+b#x"]);
  expect(heard).toHaveBeenCalledTimes(1);
  router.go("/objects?key=a+b#x");
  expect(steps.length).toBe(1);
});

it("follows back and forward until stopped", () => {
  const { win, fire, moveTo } = fakeWindow("/");
  const router = new Router(win);
  const stop = router.start();
  moveTo("/sql#q=1");
  fire("popstate", {});
  expect([router.place.path, router.place.hash]).toEqual(["/sql", "#q=1"]);
  stop();
  moveTo("/objects");
  fire("popstate", {});
  expect(router.place.path).toBe("/sql");
});

it("takes plain clicks on our pages only", () => {
  const { win, steps, fire } = fakeWindow("/");
  new Router(win).start();
  fire("click", click("http://atl/sql"));
  fire("click", click("http://atl/sql", { ctrlKey: true }));
  fire("click", click("http://atl/api/status"));
  fire("click", click("http://elsewhere/sql"));
  fire("click", click("http://atl/objects", {}, { target: "_blank" }));
  expect(steps).toEqual(["push /sql"]);
});
