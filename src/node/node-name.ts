import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { InputError } from "../lib/errors.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Where the node's name is kept for the CNI plugin. */
export function nodenameFile(env: Env): string {
  return env["CALICO_NODENAME_FILE"] || "/var/lib/calico/nodename";
}

/**
 * Name of this node: NODENAME, else what the nodename file says, else HOSTNAME, else the machine's
 * host name; the last two in lower case (facts 1.1).
 *
 * @throws {InputError} when none gives a name that a resource may have.
 */
export function nodeNameOf(env: Env): string {
  const name =
    env["NODENAME"]?.trim() ||
    readIfPresent(nodenameFile(env)) ||
    env["HOSTNAME"]?.trim().toLowerCase() ||
    hostname().trim().toLowerCase();
  if (/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name) && name.length <= 253) return name;
  throw new InputError(
    `Cannot use node name "${name}": it must be letters a-z, digits, "-" and "." (set NODENAME)`,
  );
}

function readIfPresent(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
