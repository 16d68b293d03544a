import { readdirSync } from "node:fs";
import { InputError } from "../lib/errors.ts";

/** What a program of Calico's images is here. */
export interface StockCommand {
  /** For standard error. */
  readonly message?: string;
  /** Words of a command of ours; absent: there is nothing to do. */
  readonly command?: readonly string[];
}

/** Where the host-local IPAM plugin keeps what it gave; upgrade-ipam of Calico's manifest mounts it. */
const hostLocalFolder = "/var/lib/cni/networks/k8s-pod-network";

/**
 * The command of ours that a program of Calico's images is: what its manifests execute, of this release and
 * of older ones (facts 7.10). `bin/stock` calls this under the program's name, but for start_runit.
 *
 * @throws {InputError} for what is no program of Calico's, or none that is here.
 */
export function stockCommand(name: string, argv: readonly string[]): StockCommand {
  const words = argv.map((word) => word.replace(/^-(?=[a-z]{2})/, "--"));
  switch (name) {
    case "calico":
      return component(words);
    case "calico-node":
      return nodeProgram(words);
    case "calico-ipam":
      if (words[0] === "--upgrade") return upgradeIpam(hostLocalFolder);
      break;
    case "install":
      return { command: ["install-cni", ...words] };
    case "kube-controllers":
      return { command: ["controllers"] };
    case "check-status":
      return { command: ["controllers", "status", ...words] };
    default:
  }
  throw new InputError(`Cannot run "${[name, ...argv].join(" ")}": tortie has no such program`);
}

/** `calico component NAME`: the multi-call binary of Calico 3.33. */
function component(words: readonly string[]): StockCommand {
  const [first, name = "", ...rest] = words;
  if (first === "component") {
    if (name === "cni" && rest[0] === "install") {
      return { command: ["install-cni", ...rest.slice(1)] };
    }
    if (name === "node") return nodeComponent(rest);
    if (name === "kube-controllers") return { command: ["controllers"] };
    if (name === "kube-controllers-health") return { command: ["controllers", "status", ...rest] };
  }
  throw new InputError(`Cannot run "calico ${words.join(" ")}": tortie has no such program`);
}

function nodeComponent([verb, ...rest]: readonly string[]): StockCommand {
  switch (verb) {
    case "init":
      return nothingToInit;
    case "shutdown":
      return { command: ["node", "shutdown"] };
    case "health":
      return { command: ["node", "health", ...rest] };
    default:
      throw new InputError(
        `Cannot run "calico component node ${verb}": tortie has no such program`,
      );
  }
}

/** `calico-node -felix-live -bird-live` and its kin: each switch is a program. */
function nodeProgram(words: readonly string[]): StockCommand {
  if (words.includes("-v")) return { command: ["version"] };
  if (words.includes("--init")) return nothingToInit;
  if (words.includes("--shutdown")) return { command: ["node", "shutdown"] };
  return { command: ["node", "health", ...words] };
}

const nothingToInit: StockCommand = {
  message: "tortie has no eBPF dataplane: there is nothing to mount",
};

/**
 * Blocks of this node get their labels when the node starts. Addresses that the host-local plugin gave are
 * nobody's that we know: who has them must drain the node first.
 *
 * @throws {InputError}
 */
export function upgradeIpam(folder: string): StockCommand {
  const given = addressesIn(folder);
  if (given.length === 0) return { message: "There are no addresses of host-local to take over" };
  throw new InputError(
    `Cannot take over ${given.length} addresses of host-local in ${folder}: drain this node, so that its pods ` +
      "get new ones, and remove the folder",
  );
}

function addressesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => /^[0-9a-f.:]+$/.test(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
