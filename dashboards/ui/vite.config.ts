import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";
import { thirdPartyLicenses } from "./vite-licenses.ts";

/** During `npm run dev` the API comes from a backend that runs elsewhere, by default where `atl` listens. */
const backend = process.env.ATL_BACKEND ?? "http://127.0.0.1:3000";

export default defineConfig({
  plugins: [svelte(), thirdPartyLicenses()],
  build: {
    target: "es2022",
    // Everything is a file of its own: the page's policy allows no inline script, and no style but from files.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    manifest: ".vite/manifest.json",
  },
  server: { proxy: Object.fromEntries(["/api", "/-", "/metrics"].map((path) => [path, { target: backend }])) },
  test: { include: ["src/**/*.test.ts"] },
});
