import { existsSync } from "node:fs";
import { InputError } from "../../lib/errors.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { ExecHelper, HelperProgram } from "../exec-helper.ts";
import type { IptablesFeatures } from "./render.ts";

/** Which iptables programs hold this host's rules, and what they can do. */
export interface IptablesBackend {
  readonly kind: "nft" | "legacy";
  /** Part of the programs' names: "" where only the plain commands exist. */
  readonly variant: "-nft" | "-legacy" | "";
  /** As the program says it, "1.8.9". */
  readonly version: string;
  readonly features: IptablesFeatures;
}

export type BackendSetting = "auto" | "nft" | "legacy";

type Exec = Pick<ExecHelper, "run">;

const hints = ["KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY"];

/** The program that reads or writes tables of one family. */
export function programOf(
  backend: Pick<IptablesBackend, "variant">,
  family: IpFamily,
  job: "save" | "restore",
): HelperProgram {
  return `${family === 4 ? "iptables" : "ip6tables"}${backend.variant}-${job}`;
}

/**
 * Finds the backend that this host uses (facts 4.17): the one with a kubelet hint, else the one
 * with strictly more rules, else the one that the host's `iptables` command is. Differs from Calico
 * in the last step, which takes legacy: on an empty host of today nothing else uses legacy.
 *
 * @throws {InputError} when no iptables is there, or not the configured one.
 */
export async function detectBackend(
  exec: Exec,
  setting: BackendSetting = "auto",
  legacyLoaded: () => boolean = legacyModulesLoaded,
): Promise<IptablesBackend> {
  const plain = await versionOf(exec, "iptables-restore");
  const nft = await versionOf(exec, "iptables-nft-restore");
  const legacy = await versionOf(exec, "iptables-legacy-restore");
  if (setting !== "auto") {
    const version = setting === "nft" ? nft : legacy;
    if (version !== undefined) return backendOf(setting, `-${setting}`, version);
    if (plain?.kind === setting) return backendOf(setting, "", plain);
    throw new InputError(`Cannot use iptables backend ${setting}: its programs are not installed`);
  }
  if (nft !== undefined && legacy !== undefined) {
    const kind = await kindInUse(exec, plain?.kind ?? "nft", legacyLoaded());
    return backendOf(kind, `-${kind}`, kind === "nft" ? nft : legacy);
  }
  if (nft !== undefined) return backendOf("nft", "-nft", nft);
  if (legacy !== undefined) return backendOf("legacy", "-legacy", legacy);
  if (plain !== undefined) return backendOf(plain.kind, "", plain);
  throw new InputError("Cannot use iptables: its programs are not installed");
}

/** The same backend, of which somebody knows better what it can do. */
export function withFeatures(
  backend: IptablesBackend,
  features: Partial<IptablesFeatures>,
): IptablesBackend {
  return { ...backend, features: { ...backend.features, ...features } };
}

/** Whether a restore may put rules between others: before 1.8.3 the nft variant miscounts (facts 4.17). */
export function insertsInPlace({ kind, version }: IptablesBackend): boolean {
  return kind === "legacy" || isAtLeast(version, [1, 8, 3]);
}

interface Version {
  readonly text: string;
  readonly kind: "nft" | "legacy";
}

function backendOf(
  kind: "nft" | "legacy",
  variant: IptablesBackend["variant"],
  version: Version,
): IptablesBackend {
  const recent = isAtLeast(version.text, [1, 6, 2]);
  const features = { snatFullyRandom: recent, masqFullyRandom: recent, restoreWait: recent };
  return { kind, variant, version: version.text, features };
}

/** Asking the legacy programs loads the legacy modules where they are not loaded. */
function legacyModulesLoaded(): boolean {
  return ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"].some((file) =>
    existsSync(file),
  );
}

async function kindInUse(
  exec: Exec,
  otherwise: "nft" | "legacy",
  legacyLoaded: boolean,
): Promise<"nft" | "legacy"> {
  for (const kind of ["nft", "legacy"] as const) {
    if (kind === "legacy" && !legacyLoaded) continue;
    const mangle = await savesOf(exec, kind, ["-t", "mangle"]);
    if (hints.some((hint) => mangle.includes(hint))) return kind;
  }
  const nftRules = ruleCount(await savesOf(exec, "nft", []));
  const legacyRules = legacyLoaded ? ruleCount(await savesOf(exec, "legacy", [])) : 0;
  if (nftRules === legacyRules) return otherwise;
  return nftRules > legacyRules ? "nft" : "legacy";
}

/** Both families' saves. What cannot be read holds no rules of anybody. */
async function savesOf(
  exec: Exec,
  kind: "nft" | "legacy",
  args: readonly string[],
): Promise<string> {
  const variant = `-${kind}` as const;
  const outputs = await Promise.all(
    ([4, 6] as const).map(async (family) => {
      const result = await tried(exec, programOf({ variant }, family, "save"), args);
      return result?.code === 0 ? result.stdout : "";
    }),
  );
  return outputs.join("\n");
}

function ruleCount(save: string): number {
  return save.split("\n").filter((line) => line.startsWith("-")).length;
}

/** Undefined when the program is not installed. Before 1.8 there was no "(legacy)" to say. */
async function versionOf(exec: Exec, program: HelperProgram): Promise<Version | undefined> {
  const result = await tried(exec, program, ["--version"]);
  const text = /v(\d+(?:\.\d+)+)/.exec(result?.stdout ?? "")?.[1];
  if (result === undefined || text === undefined) return undefined;
  return { text, kind: result.stdout.includes("nf_tables") ? "nft" : "legacy" };
}

async function tried(
  exec: Exec,
  program: HelperProgram,
  args: readonly string[],
): Promise<{ readonly code: number; readonly stdout: string } | undefined> {
  try {
    return await exec.run(program, args);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "not-found") return undefined;
    throw error;
  }
}

function isAtLeast(version: string, wanted: readonly number[]): boolean {
  const parts = version.split(".").map(Number);
  for (const [i, want] of wanted.entries()) {
    const have = parts[i] ?? 0;
    if (have !== want) return have > want;
  }
  return true;
}
