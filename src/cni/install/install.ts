import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { InputError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { protocolMagic } from "../protocol.ts";
import { conflistOf, isInstalled } from "./conflist.ts";
import type { InstallConfig } from "./install-config.ts";

/** Programs to install, as this process sees them. */
export interface Programs {
  /** The static shim; where it is not there, the TypeScript plugin of this checkout. */
  readonly shim: string;
  readonly script: string;
  /** Folder of other plugins that come in the same image. */
  readonly others: string;
}

const ownNames = ["calico", "calico-ipam"];
/** Of Calico: a token lies in it, which nobody needs here. */
const kubeconfig = "calico-kubeconfig";
const searchedBytes = 4 << 20;

/**
 * Puts the plugins and then the configuration where runtimes look for them; each file is there as a whole
 * or not at all. Again it changes nothing but what is not as it should be.
 *
 * @throws {InputError} for a configuration that cannot be made, before anything is written.
 */
export function installCni(config: InstallConfig, programs: Programs, log: Logger): void {
  const target = join(config.netFolder, config.confName);
  const present = existsSync(target) ? readFileSync(target, "utf8") : undefined;
  const conflist = conflistOf(config.template, config.templateValues, present);
  mkdirSync(config.binFolder, { recursive: true });
  mkdirSync(config.netFolder, { recursive: true });
  installBinaries(config, programs, log);
  replaceFile(target, 0o600, (draft) => writeFileSync(draft, conflist, { mode: 0o600 }));
  log.info({ file: target }, "CNI configuration written");
  const obsolete = config.oldConfName === undefined ? [] : [config.oldConfName];
  for (const name of [...obsolete, kubeconfig]) {
    rmSync(join(config.netFolder, name), { force: true });
  }
}

/** Takes away what `installCni` has put there, and nothing of anybody else. */
export function removeCni(config: InstallConfig, log: Logger): void {
  const conflist = join(config.netFolder, config.confName);
  if (existsSync(conflist) && isInstalled(readFileSync(conflist, "utf8"))) {
    rmSync(conflist);
    log.info({ file: conflist }, "CNI configuration removed");
  }
  for (const name of ownNames) {
    const file = join(config.binFolder, name);
    if (!isOurs(file)) continue;
    rmSync(file);
    log.info({ file }, "CNI plugin removed");
  }
}

function installBinaries(
  { binFolder, skip, updateBinaries }: InstallConfig,
  programs: Programs,
  log: Logger,
): void {
  const wanted = new Map(otherPrograms(programs.others, binFolder));
  for (const name of ownNames) wanted.set(name, programs.shim);
  for (const [name, source] of wanted) {
    const file = join(binFolder, name);
    if (skip.has(name) || (!updateBinaries && existsSync(file))) continue;
    if (existsSync(source)) {
      replaceFile(file, 0o755, (draft) => copyFileSync(source, draft));
    } else {
      linkScript(file, programs.script);
    }
    log.info({ file }, "CNI plugin written");
  }
}

function otherPrograms(folder: string, binFolder: string): [name: string, source: string][] {
  if (!existsSync(folder) || isSameFile(folder, binFolder)) return [];
  // Links there are names of our own programs.
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => [name, join(folder, name)]);
}

function isSameFile(a: string, b: string): boolean {
  const [left, right] = [statSync(a), statSync(b)];
  return left.dev === right.dev && left.ino === right.ino;
}

/** Where no compiler was at hand: only a host that has this checkout can run it. */
function linkScript(file: string, script: string): void {
  if (file.startsWith("/host/")) {
    throw new InputError(
      `Cannot install ${file}: the shim was not built, and the host has no other`,
    );
  }
  const draft = draftOf(file);
  rmSync(draft, { force: true });
  symlinkSync(script, draft);
  renameSync(draft, file);
}

/** A runtime sees the old file or the new one, also after a power failure. */
function replaceFile(file: string, mode: number, write: (draft: string) => void): void {
  const draft = draftOf(file);
  rmSync(draft, { force: true });
  try {
    write(draft);
    chmodSync(draft, mode);
    const descriptor = openSync(draft, "r");
    fsyncSync(descriptor);
    closeSync(descriptor);
    renameSync(draft, file);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** A name that no runtime reads. */
function draftOf(file: string): string {
  return `${file}.tortie-new`;
}

/** Our shim holds the protocol's first line; else it is a link to our script. */
function isOurs(file: string): boolean {
  try {
    return readlinkSync(file).endsWith("/tortie-cni");
  } catch {
    // No link.
  }
  if (!existsSync(file)) return false;
  return readFileSync(file).subarray(0, searchedBytes).includes(protocolMagic);
}
