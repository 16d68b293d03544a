import { policyCluster } from "../../policy/cluster.ts";
import { type Finding, lint, lintChecks } from "../../policy/lint.ts";
import { objectName } from "../../policy/object-name.ts";
import { nameText } from "../../policy/verdict.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext } from "../verb.ts";
import { type Loaded, loadCluster } from "./load-cluster.ts";

/** `policy lint`: exit code 1 when there is more than notes. */
export async function runLint(args: Arguments, context: VerbContext): Promise<number> {
  const loaded = await loadCluster("filename", args, context);
  const findings = lint(policyCluster(loaded.resources));
  const format = args.value("output") ?? "text";
  const text = format === "sarif" ? sarif(findings, loaded) : JSON.stringify(findings, null, 2);
  context.io.stdout.write(format === "text" ? lintText(findings) : `${text}\n`);
  return findings.some(({ level }) => level !== "note") ? 1 : 0;
}

function lintText(findings: readonly Finding[]): string {
  const lines = findings.map(
    ({ level, check, object, path, message }) =>
      `${level}: ${nameText(object)}${path === undefined ? "" : ` ${path}`}: ${check}: ${message}\n`,
  );
  return `${lines.join("")}${findings.length} findings\n`;
}

/** SARIF 2.1.0, as code hosts show it beside a change. */
function sarif(findings: readonly Finding[], { resources, sources }: Loaded): string {
  const fileOf = new Map(
    resources.map((one) => [
      nameText(objectName(one)),
      sources.get(one)?.replace(/, document \d+$/, ""),
    ]),
  );
  const rules = Object.entries(lintChecks).map(([id, text]) => ({
    id,
    shortDescription: { text },
  }));
  const results = findings.map(({ check, level, object, path, message }) => {
    const name = `${nameText(object)}${path === undefined ? "" : ` ${path}`}`;
    const uri = fileOf.get(nameText(object));
    const place = uri === undefined ? {} : { physicalLocation: { artifactLocation: { uri } } };
    return {
      ruleId: check,
      level,
      message: { text: `${name}: ${message}` },
      locations: [{ ...place, logicalLocations: [{ fullyQualifiedName: name }] }],
    };
  });
  return JSON.stringify(
    {
      $schema: "https://json.schemastore.org/sarif-2.1.0.json",
      version: "2.1.0",
      runs: [{ tool: { driver: { name: "tortie policy lint", rules } }, results }],
    },
    null,
    2,
  );
}
