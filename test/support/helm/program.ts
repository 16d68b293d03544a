import { buildGoProgram, type FoundProgram, findGoProgram, type GoProgram } from "../go-program.ts";

const program: GoProgram = {
  name: "helm",
  folder: import.meta.dirname,
  module: "helm.sh/helm/v3",
  package: "helm.sh/helm/v3/cmd/helm",
  ldflags: () => "",
};

/** @throws {Error} when there is a toolchain, or CI, and no program. */
export function findHelm(): FoundProgram {
  return findGoProgram(program);
}

if (import.meta.main) buildGoProgram(program);
