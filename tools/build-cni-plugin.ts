import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Writes the TypeScript plugin as one CommonJS file, without types: Node starts it in three quarters of the
 * time that it needs for the sources. Nothing else is a bundle, so that this knows only what those files do.
 *
 * Usage: node tools/build-cni-plugin.ts FILE
 */

/** In the order in which they need each other; bin/tortie-cni compares their ages. */
export const parts: readonly string[] = [
  "lib/errors.ts",
  "cni/versions.ts",
  "cni/cni-error.ts",
  "cni/protocol.ts",
  "cni/plugin.ts",
];

export function builtPlugin(): string {
  const texts = parts.map((part) => {
    const file = fileURLToPath(new URL(`../src/${part}`, import.meta.url));
    return commonJs(stripTypeScriptTypes(readFileSync(file, "utf8")));
  });
  return `"use strict";\n${texts.join("\n")}`;
}

/** @throws for an import of anything but Node's own modules and the other parts. */
function commonJs(text: string): string {
  return text
    .replaceAll(/^import \{([^}]*)\} from "([^"]*)";$/gm, (_, names: string, from: string) => {
      if (from.startsWith("node:")) return `const {${names}} = require("${from}");`;
      if (parts.some((part) => basename(part) === basename(from))) return "";
      throw new Error(`Cannot build the CNI plugin: it may not import ${from}`);
    })
    .replaceAll(/^export /gm, "");
}

const [file] = process.argv.slice(2);
if (import.meta.main && file !== undefined) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, builtPlugin());
  renameSync(`${file}.new`, file);
}
