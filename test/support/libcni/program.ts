import { buildGoProgram, type FoundProgram, findGoProgram, type GoProgram } from "../go-program.ts";

const program: GoProgram = {
  name: "libcni",
  folder: import.meta.dirname,
  module: "github.com/containernetworking/cni",
  ldflags: () => "",
};

/**
 * The library that every runtime calls plugins with, as a program (main.go).
 *
 * @throws {Error} when there is a toolchain, or CI, and no program.
 */
export function findLibcni(): FoundProgram {
  return findGoProgram(program);
}

if (import.meta.main) buildGoProgram(program);
