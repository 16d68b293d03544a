import { buildGoProgram, type FoundProgram, findGoProgram, type GoProgram } from "../go-program.ts";

const program: GoProgram = {
  name: "kustomize",
  folder: import.meta.dirname,
  module: "sigs.k8s.io/kustomize/kustomize/v5",
  package: "sigs.k8s.io/kustomize/kustomize/v5",
  ldflags: () => "",
};

/** @throws {Error} when there is a toolchain, or CI, and no program. */
export function findKustomize(): FoundProgram {
  return findGoProgram(program);
}

if (import.meta.main) buildGoProgram(program);
