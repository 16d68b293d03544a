import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { calicoEncapsulations, type Encapsulation, labIpFamilies } from "../../src/lab/lab-plan.ts";
import { checks } from "./checks.ts";
import { MatrixLab, report } from "./matrix-lab.ts";

/**
 * Every mode in every family, each in a lab of its own: a cell of the table in docs/encapsulation.md is a
 * check in a lab. ENCAPSULATIONS names modes, when not all are asked for.
 */

const asked = process.env["ENCAPSULATIONS"]?.split(",");
const modes = calicoEncapsulations.filter((mode) => asked?.includes(mode) !== false);

for (const ipFamily of labIpFamilies) {
  for (const mode of modes) {
    if (mode.startsWith("IPIP") && ipFamily === "ipv6") continue;
    test(`${mode}, ${ipFamily}`, { skip: cannotRun(mode) }, async (t) => {
      const lab = new MatrixLab(mode, ipFamily);
      try {
        await lab.up();
        for (const { title, without, run } of checks) {
          const reason = without?.(lab);
          let result = reason ?? "failed";
          await t.test(title, { skip: reason }, async () => {
            await run(lab);
            result = "yes";
          });
          report({ check: title, mode, ipFamily, result });
        }
      } finally {
        await lab.down();
      }
    });
  }
}

function cannotRun(mode: Encapsulation): string | false {
  if (!mode.startsWith("IPIP")) return false;
  try {
    execFileSync("modprobe", ["ipip"], { stdio: "ignore" });
    return false;
  } catch {
    return "this kernel has no ipip; node tools/run-tests.ts encapsulation-vm has one that does";
  }
}
