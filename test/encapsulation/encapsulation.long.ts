import { execFileSync } from "node:child_process";
import { describe, type TestContext, test } from "node:test";
import { calicoEncapsulations, type Encapsulation, labIpFamilies } from "../../src/lab/lab-plan.ts";
import { type Check, checks } from "./checks.ts";
import { failed, isOffered } from "./document.ts";
import { MatrixLab, report } from "./matrix-lab.ts";

/**
 * Every mode in every family, each in a lab of its own: a cell of the table in docs/encapsulation.md is a
 * check in a lab. ENCAPSULATIONS names modes and ENCAPSULATION_FAMILIES families, when not all are asked for;
 * ENCAPSULATION_LABS says how many labs there are at once.
 */

const asked = (name: string) => process.env[name]?.split(",");
const [askedModes, askedFamilies] = ["ENCAPSULATIONS", "ENCAPSULATION_FAMILIES"].map(asked);
const modes = calicoEncapsulations.filter((mode) => askedModes?.includes(mode) !== false);
const families = labIpFamilies.filter((family) => askedFamilies?.includes(family) !== false);
const labsAtOnce = Number(process.env["ENCAPSULATION_LABS"] ?? 1);

describe("encapsulations", { concurrency: labsAtOnce }, () => {
  for (const ipFamily of families) {
    for (const mode of modes.filter((each) => isOffered(each, ipFamily))) {
      test(`${mode}, ${ipFamily}`, { skip: cannotRun(mode) }, async (t) => {
        const lab = new MatrixLab(mode, ipFamily);
        try {
          await lab.told("the lab is up", () => lab.up());
          for (const check of checks) await cell(check, lab, t);
        } finally {
          await lab.down();
        }
      });
    }
  }
});

async function cell({ title, without, run }: Check, lab: MatrixLab, t: TestContext): Promise<void> {
  const { mode, ipFamily } = lab;
  const reason = without?.(lab);
  let result = reason ?? failed;
  await t.test(title, { skip: reason }, async () => {
    await lab.told(title, () => run(lab));
    result = "yes";
  });
  report({ check: title, mode, ipFamily, result });
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
