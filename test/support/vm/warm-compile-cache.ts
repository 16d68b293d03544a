import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Runs on this machine what tests run in the virtual one, so that Node's compile cache, which goes with
 * the checkout, has it: to strip types and compile costs each process there some 15 s. The cache of this
 * processor is good there as long as V8 finds no more in it than qemu has (`v8.cachedDataVersionTag()`).
 */
export function warmCompileCache(root: string, compileCache: string): void {
  const folder = mkdtempSync(join(tmpdir(), "tt-warm-"));
  const name = `warm${process.pid}`;
  const env = {
    ...process.env,
    TORTIE_LAB_DIR: folder,
    NODE_COMPILE_CACHE: compileCache,
    DATASTORE_TYPE: "embedded",
    TORTIE_DATASTORE_PATH: join(folder, name, "datastore"),
  };
  const tortie = (...args: readonly string[]) =>
    execFileSync(join(root, "bin/tortie"), args, { env, stdio: ["ignore", "ignore", "pipe"] });
  const lab = (command: string, ...args: readonly string[]) =>
    tortie("lab", command, "--lab", name, ...args);
  try {
    lab("up", "--nodes", "1", "--segments", "1", "--pods", "1");
    lab("check");
    tortie("get", "nodes");
  } finally {
    lab("down");
    rmSync(folder, { recursive: true });
  }
}
