import { buildGoProgram, type FoundProgram, findGoProgram, type GoProgram } from "../go-program.ts";

const program: GoProgram = {
  name: "etcd",
  folder: import.meta.dirname,
  module: "go.etcd.io/etcd/server/v3",
  ldflags: () => "",
};

/**
 * An etcd that tells watchers its progress, as lists that are watches need (3.4.25 or later; Debian 12 has 3.4.23).
 *
 * @throws {Error} when there is a toolchain, or CI, and no program.
 */
export function findNewEtcd(): FoundProgram {
  return findGoProgram(program);
}

if (import.meta.main) buildGoProgram(program);
