import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** A program for tests that a Go module is. */
export interface GoProgram {
  /** Of the program, in KUBEBUILDER_ASSETS and in the cache. */
  readonly name: string;
  /** Where a go.mod requires `module`. */
  readonly folder: string;
  readonly module: string;
  /** The main package. Default: that of the folder itself. */
  readonly package?: string;
  readonly ldflags: (version: string) => string;
}

/** Path of a program, or why there is none. */
export type FoundProgram = { readonly path: string } | { readonly missing: string };

/**
 * The program: of KUBEBUILDER_ASSETS (the convention of envtest), else what `buildGoProgram` has built. Missing
 * only where there is no Go toolchain.
 *
 * @throws {Error} when there is a toolchain, or CI, and no program.
 */
export function findGoProgram(program: GoProgram): FoundProgram {
  const { name } = program;
  const { path } = placeOfBuild(program);
  const assets = process.env["KUBEBUILDER_ASSETS"];
  if (assets) return { path: join(assets, name) };
  if (existsSync(path)) return { path };
  const missing = `no ${name}: neither KUBEBUILDER_ASSETS nor a Go toolchain to build it`;
  if (process.env["CI"] !== "true" && !hasGo()) return { missing };
  throw new Error(`there is no ${path}: \`sh tools/setup.sh --test\` builds it`);
}

/** Builds it once for all clones; afterwards it is there at once. */
export function buildGoProgram(program: GoProgram): void {
  const { path, folder, version } = placeOfBuild(program);
  if (process.env["KUBEBUILDER_ASSETS"] || existsSync(path) || !hasGo()) return;
  console.error(`setup: building ${program.name} ${version} for the tests: once, some minutes`);
  mkdirSync(folder, { recursive: true });
  const fresh = `${path}.${process.pid}`;
  const ldflags = `-s -w ${program.ldflags(version)}`;
  const main = program.package ?? ".";
  execFileSync("go", ["build", "-trimpath", "-ldflags", ldflags, "-o", fresh, main], {
    cwd: program.folder,
    stdio: ["ignore", "inherit", "inherit"],
  });
  // Two builds at once give the same file: the last rename stays.
  renameSync(fresh, path);
}

/** For the `skip` of tests. */
export function reasonToSkip(found: FoundProgram): string | false {
  return "missing" in found ? found.missing : false;
}

/** What a program prints. @throws {Error} with what it says, when it fails */
export function outputOf(found: FoundProgram, args: readonly string[], input = ""): string {
  const program = "path" in found ? found.path : "";
  const settings = { encoding: "utf8", input, maxBuffer: 16 << 20 } as const;
  const { status, stdout, stderr } = spawnSync(program, args, settings);
  if (status === 0) return stdout;
  throw new Error(`${args.join(" ")}: exit ${status}\n${stderr}`);
}

function placeOfBuild({ name, folder, module }: GoProgram): {
  readonly path: string;
  readonly folder: string;
  readonly version: string;
} {
  const lines = readFileSync(join(folder, "go.mod"), "utf8").split(/\s*\n(?:require)?\s*/);
  const required = lines.find((line) => line.startsWith(`${module} `));
  const version = required?.split(" ")[1] ?? "";
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const built = join(cache, "tortie", `${name}-${version}`);
  return { path: join(built, name), folder: built, version };
}

function hasGo(): boolean {
  try {
    execFileSync("go", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
