import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const moduleFolder = import.meta.dirname;

/** Path of a kube-apiserver, or why there is none. */
export type FoundApiServer = { readonly path: string } | { readonly missing: string };

/**
 * The program: of KUBEBUILDER_ASSETS, else what `buildKubeApiServer` has built from the Go module
 * k8s.io/kubernetes. Missing only where there is no Go toolchain.
 *
 * @throws {Error} when there is a toolchain, or CI, and no program.
 */
export function findKubeApiServer(): FoundApiServer {
  const { path } = placeOfBuild();
  const assets = process.env["KUBEBUILDER_ASSETS"];
  if (assets) return { path: join(assets, "kube-apiserver") };
  if (existsSync(path)) return { path };
  const missing = "no kube-apiserver: neither KUBEBUILDER_ASSETS nor a Go toolchain to build it";
  if (process.env["CI"] !== "true" && !hasGo()) return { missing };
  throw new Error(`there is no ${path}: \`sh tools/setup.sh --test\` builds it`);
}

/** Builds it once for all clones; afterwards it is there at once. */
export function buildKubeApiServer(): void {
  const { path, folder, version } = placeOfBuild();
  if (process.env["KUBEBUILDER_ASSETS"] || existsSync(path) || !hasGo()) return;
  console.error(`setup: building kube-apiserver ${version} for the tests: once, some minutes`);
  mkdirSync(folder, { recursive: true });
  const fresh = `${path}.${process.pid}`;
  const flags = `-s -w -X k8s.io/component-base/version.gitVersion=${version}`;
  execFileSync("go", ["build", "-trimpath", "-ldflags", flags, "-o", fresh, "."], {
    cwd: moduleFolder,
    stdio: ["ignore", "inherit", "inherit"],
  });
  // Two builds at once give the same file: the last rename stays.
  renameSync(fresh, path);
}

function placeOfBuild(): {
  readonly path: string;
  readonly folder: string;
  readonly version: string;
} {
  const mod = readFileSync(join(moduleFolder, "go.mod"), "utf8");
  const version = /k8s\.io\/kubernetes (v\S+)/.exec(mod)?.[1] ?? "";
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const folder = join(cache, "tortie", `kube-apiserver-${version}`);
  return { path: join(folder, "kube-apiserver"), folder, version };
}

function hasGo(): boolean {
  try {
    execFileSync("go", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

if (import.meta.main) buildKubeApiServer();
