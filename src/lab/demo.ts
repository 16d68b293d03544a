import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { errorMessage } from "../lib/errors.ts";
import { type CheckReport, checkLab } from "./check.ts";
import { defaultTimeoutMs, labUp, withDatastore } from "./lab.ts";
import { defaultRequest, planLab } from "./lab-plan.ts";
import { labPaths, readPods, requireState } from "./lab-state.ts";
import { matrixLegend, matrixText } from "./matrix-text.ts";
import { datastoreEnvironment } from "./node-environment.ts";

const policies = ["default-deny.yaml", "allow-web.yaml"].map((file) =>
  fileURLToPath(new URL(`../../deploy/demo/${file}`, import.meta.url)),
);

/** Runs one verb of the CLI, as a user would, on a datastore. Gives the exit code. */
export type VerbRunner = (
  argv: readonly string[],
  io: {
    readonly stdout: { write(text: string): boolean };
    readonly stderr: { write(text: string): boolean };
    readonly stdin: NodeJS.ReadStream;
    readonly env: Readonly<Record<string, string | undefined>>;
  },
) => Promise<number>;

/**
 * What `npm start` shows: the lab comes up, who reaches whom, two policies, who reaches whom now.
 * Exit code 0 only when reality equals what the policies say, both times.
 */
export async function runDemo(runVerb: VerbRunner): Promise<number> {
  const started = performance.now();
  const color = process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined;
  const title = (text: string) => say(color ? `\n\u001b[1m${text}\u001b[0m` : `\n${text}`);

  title("1. Three nodes on two segments");
  const fresh = await labUp(defaultRequest, {
    progress: (line) => say(`   ${line}`),
    timeoutMs: defaultTimeoutMs,
  });
  if (!fresh) say("   the lab is up already: its demo policies are taken away first");
  await changePolicies("delete", runVerb);

  title("2. Who reaches whom, with no policy");
  const before = await check();
  say(matrixText(before, { color }) + matrixLegend(before, color));

  title("3. Two policies: deny all, then allow app=client to TCP port 80");
  await changePolicies("apply", runVerb);

  title("4. Who reaches whom now (* changed)");
  const after = await check();
  say(matrixText(after, { color, before }) + matrixLegend(after, color));

  for (const report of [before, after]) {
    for (const { from, to, protocol, port, because } of report.mismatches) {
      say(`MISMATCH ${from} to ${to} ${protocol} ${port}: ${because}`);
    }
  }
  const wrong = before.mismatches.length + after.mismatches.length;
  const probes = before.flows.length + after.flows.length;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  title(
    wrong === 0
      ? `All ${probes} probes did what the policies say (${seconds} s).`
      : `${wrong} of ${probes} probes did NOT do what the policies say.`,
  );
  say(nextSteps);
  return wrong === 0 ? 0 : 1;
}

const nextSteps = `
Look around:
  bin/tortie lab status                               nodes, blocks, BGP sessions, pods
  bin/tortie lab exec node1 -- ip route               blocks of others: direct, or via vxlan.calico
  bin/tortie lab exec node1 -- iptables-save          the cali- chains
  bin/tortie lab exec node1/pod1 -- ping 10.244.0.1   from inside a pod
  eval "$(bin/tortie lab env)"; bin/tortie get ippool -o wide; bin/tortie get networkpolicy -A
  bin/tortie lab check                                the matrix again
Stop:
  bin/tortie lab down
`;

async function check(): Promise<CheckReport> {
  const paths = labPaths(defaultRequest.name);
  const state = requireState(defaultRequest.name, paths);
  const lab = { plan: planLab(state.request), pods: readPods(paths) };
  return withDatastore(state, paths, (datastore) => checkLab(lab, datastore));
}

/** The CLI's own verbs, as a user would type them. */
async function changePolicies(verb: "apply" | "delete", runVerb: VerbRunner): Promise<void> {
  const paths = labPaths(defaultRequest.name);
  const env = datastoreEnvironment(requireState(defaultRequest.name, paths), paths, "host");
  const output: string[] = [];
  const sink = { write: (text: string) => output.push(text) > 0 };
  for (const file of policies) {
    const options = verb === "delete" ? ["--skip-not-exists"] : [];
    if (verb === "apply") say(`   $ bin/tortie apply -f ${relative(process.cwd(), file)}`);
    const code = await runVerb([verb, "-f", file, ...options], {
      stdout: sink,
      stderr: sink,
      stdin: process.stdin,
      env: { ...process.env, ...env },
    });
    if (code !== 0) throw new Error(`Cannot ${verb} ${file}: ${errorMessage(output.join(""))}`);
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
