import type { FelixDryRun, SysctlReport } from "../felix/dry-run.ts";
import type { Area } from "./finding.ts";

/** Settings of the host and of pods' interfaces. */
export function judgeSysctls(sysctls: FelixDryRun["sysctls"]): Area {
  const different = sysctls.filter(({ present, wanted }) => present !== wanted);
  return {
    name: "sysctls",
    equal: sysctls.length - different.length,
    findings: different.map((sysctl) => {
      const { path, present, wanted } = sysctl;
      const interrupts = filtersMore(sysctl);
      const why = interrupts
        ? "the kernel would drop packets whose way back leads elsewhere: they pass now"
        : "packets that pass now pass";
      const what = `${path.join(".")} ${present} by ${wanted}`;
      return { change: "replaced", what, interrupts, why };
    }),
    notes: [],
  };
}

/** rp_filter: 0 lets all pass, 2 what has any way back, 1 what has it through the same interface. */
function filtersMore({ path, present, wanted }: SysctlReport): boolean {
  const isLooser = wanted === "0" || (present === "1" && wanted === "2");
  return path.at(-1) === "rp_filter" && present !== wanted && !isLooser;
}
