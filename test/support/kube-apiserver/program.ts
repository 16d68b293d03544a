import { buildGoProgram, type FoundProgram, findGoProgram, type GoProgram } from "../go-program.ts";

const program: GoProgram = {
  name: "kube-apiserver",
  folder: import.meta.dirname,
  module: "k8s.io/kubernetes",
  ldflags: (version) => `-X k8s.io/component-base/version.gitVersion=${version}`,
};

/** @throws {Error} when there is a toolchain, or CI, and no program. */
export function findKubeApiServer(): FoundProgram {
  return findGoProgram(program);
}

if (import.meta.main) buildGoProgram(program);
