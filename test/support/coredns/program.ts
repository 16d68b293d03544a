import { buildGoProgram, type FoundProgram, findGoProgram, type GoProgram } from "../go-program.ts";

const program: GoProgram = {
  name: "coredns",
  folder: import.meta.dirname,
  module: "github.com/coredns/coredns",
  ldflags: () => "",
};

/** @throws {Error} when there is a toolchain, or CI, and no program. */
export function findCoreDns(): FoundProgram {
  return findGoProgram(program);
}

if (import.meta.main) buildGoProgram(program);
