/**
 * Writes `THIRD_PARTY_LICENSES.txt` beside the built page: name, version, licence and licence text of every package
 * whose code went into a chunk. Fails the build when one of them brings no licence text.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Plugin } from "vite";

interface PackageInfo {
  name: string;
  version: string;
  license: string;
  text: string;
}

export function thirdPartyLicenses(): Plugin {
  return {
    name: "third-party-licenses",
    apply: "build",
    generateBundle(_options, bundle) {
      const folders = new Set<string>();
      for (const chunk of Object.values(bundle)) {
        const modules = chunk.type === "chunk" ? chunk.moduleIds : [];
        for (const id of modules) {
          const folder = packageFolder(id);
          if (folder) folders.add(folder);
        }
      }
      const packages = Array.from(folders, readPackage).sort((a, b) => (a.name < b.name ? -1 : 1));
      const without = packages.filter((info) => info.text === "");
      if (without.length > 0) this.error(`no licence text found for ${without.map((info) => info.name).join(", ")}`);
      this.emitFile({ type: "asset", fileName: "THIRD_PARTY_LICENSES.txt", source: render(packages) });
    },
  };
}

/** The folder of the package a module belongs to, or `null` for our own. */
function packageFolder(moduleId: string): string | null {
  const path = moduleId.replace(/^\0/, "").split("?")[0];
  if (!path.includes("/node_modules/")) return null;
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = join(folder, "package.json");
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, "utf8")).name && /\/node_modules\/(@[^/]+\/)?[^/]+$/.test(folder)) return folder;
  }
  return null;
}

function readPackage(folder: string): PackageInfo {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { name: string; version: string; license?: string };
  const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying)(\.(md|txt))?$/i.test(name));
  return { name: manifest.name, version: manifest.version, license: manifest.license ?? "see below", text: file ? readFileSync(join(folder, file), "utf8").trim() : "" };
}

function render(packages: PackageInfo[]): string {
  const rule = "=".repeat(80);
  const parts = packages.map((info) => `${rule}\n${info.name} ${info.version} (${info.license})\n${rule}\n\n${info.text}\n`);
  return `The web UI of the ATL Metrics Stack contains code of these packages.\n\n${parts.join("\n")}`;
}
