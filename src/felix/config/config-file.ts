import { readFileSync } from "node:fs";
import { errorMessage, InputError } from "../../lib/errors.ts";
import type { ConfigSources } from "./read-parameters.ts";

type Env = ConfigSources["env"];

const defaultPath = "/etc/calico/felix.cfg";

/**
 * What this machine says of its Felix: environment and configuration file (facts 2.8). The file is
 * TORTIE_FELIX_CFG, or Calico's; one that is not there says nothing.
 *
 * @throws {InputError} for a file that cannot be read; names the file, and the line.
 */
export function localSources(env: Env): Pick<ConfigSources, "file" | "env"> {
  const path = env["TORTIE_FELIX_CFG"] || defaultPath;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return { env };
    throw new InputError(`Cannot read ${path}: ${errorMessage(cause)}`, { cause });
  }
  return { env, file: parseConfigFile(text, path) };
}

/**
 * "Name = value" lines of an INI file, by name as written. Sections' names do not count, as in Calico;
 * of equal names the last one does.
 *
 * @throws {InputError} for a line that is none of these; names `path` and the line.
 */
export function parseConfigFile(text: string, path: string): Readonly<Record<string, string>> {
  const entries: [string, string][] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const bare = line.trim();
    if (bare === "" || /^[#;]/.test(bare) || /^\[[^\]]*\]$/.test(bare)) continue;
    const [, name, value] = /^([A-Za-z][A-Za-z0-9_]*)\s*[=:]\s*(.*)$/.exec(bare) ?? [];
    if (name === undefined || value === undefined) {
      throw new InputError(`Cannot read ${path}: line ${index + 1} is no "Name = value"`);
    }
    entries.push([name, value]);
  }
  return Object.fromEntries(entries);
}
