import { spawn } from "node:child_process";
import { type ParseArgsConfig, parseArgs } from "node:util";
import { InputError } from "../lib/errors.ts";
import { checkLab } from "./check.ts";
import { netnsPath } from "./fabric.ts";
import { defaultTimeoutMs, ensureNamespace, labDown, labUp, withDatastore } from "./lab.ts";
import {
  defaultRequest,
  encapsulations,
  fabrics,
  type LabRequest,
  labDatastores,
  labIpFamilies,
  planLab,
} from "./lab-plan.ts";
import { type LabPod, type LabPort, labPaths, readPods, requireState } from "./lab-state.ts";
import { labStatus, statusText } from "./lab-status.ts";
import { matrixLegend, matrixText } from "./matrix-text.ts";
import { datastoreEnvironment } from "./node-environment.ts";
import { addPod, removePod } from "./pods.ts";

export const labHelp = `Usage: tortie lab COMMAND [--lab NAME]

Several nodes on this machine, each a network namespace that runs the real \`tortie node\`.

  up      [--nodes 3] [--segments 2] [--pods 2]
          [--encapsulation None|VXLAN|VXLANCrossSubnet|IPIP|IPIPCrossSubnet|UDP|UDPCrossSubnet]
                              IPIP: needs the kernel's module
          [--wireguard]                       encrypts what goes from node to node; needs the kernel's module
          [--ip-family ipv4|ipv6|dual]        of nodes and pods; ipv6: no IPv4 address anywhere
          [--datastore embedded|etcdv3] [--fabric static|bgp] [--timeout SECONDS] [--json]
  status  [--json]            nodes, blocks, BGP sessions, pods
  check   [--json]            every pod to every pod, every node to every pod, over ICMP, TCP and UDP,
                              against what the policies say; exit 1 where reality differs
  pod add NODE NAME [--namespace NS] [--label k=v]... [--port NAME=PORT/PROTO]... [--json]
  pod rm  NODE NAME [--namespace NS]
  exec    NODE|NODE/POD -- COMMAND...     (a pod outside namespace default: NODE/NS/POD)
  env                         the exports that point the CLI at the lab's datastore
  down                        leaves no namespace, process or file

Every command takes --lab NAME (default: tortie). Labs of different names run side by side.
`;

/** Runs \`tortie lab ...\` and gives the exit code. */
export async function runLabCommand(argv: readonly string[]): Promise<number> {
  const [command = "help", ...rest] = argv;
  const run = commands[command];
  if (command === "help" || rest.includes("--help") || rest.includes("-h")) {
    process.stdout.write(labHelp);
    return 0;
  }
  if (run === undefined) {
    throw new InputError(
      `Cannot run "lab ${command}": there is no such command; see tortie lab help`,
    );
  }
  return run(rest);
}

const commands: Readonly<Record<string, (argv: readonly string[]) => Promise<number>>> = {
  up,
  status,
  check,
  pod,
  exec,
  env: printEnvironment,
  down,
};

const labOption = { lab: { type: "string", default: "tortie" } } as const;
const jsonOption = { json: { type: "boolean", default: false } } as const;

async function up(argv: readonly string[]): Promise<number> {
  const { values } = parse(argv, {
    ...labOption,
    ...jsonOption,
    nodes: { type: "string" },
    segments: { type: "string" },
    pods: { type: "string" },
    encapsulation: { type: "string" },
    wireguard: { type: "boolean", default: false },
    "ip-family": { type: "string" },
    datastore: { type: "string" },
    fabric: { type: "string" },
    timeout: { type: "string" },
  });
  const request: LabRequest = {
    name: values.lab,
    nodes: count("--nodes", values.nodes, defaultRequest.nodes),
    segments: segmentsOf(values.segments, count("--nodes", values.nodes, defaultRequest.nodes)),
    pods: count("--pods", values.pods, defaultRequest.pods),
    encapsulation: oneOf(
      "--encapsulation",
      values.encapsulation,
      encapsulations,
      "VXLANCrossSubnet",
    ),
    wireguard: values.wireguard,
    ipFamily: oneOf("--ip-family", values["ip-family"], labIpFamilies, "ipv4"),
    datastore: oneOf("--datastore", values.datastore, labDatastores, "embedded"),
    fabric: oneOf("--fabric", values.fabric, fabrics, "static"),
  };
  const started = await labUp(request, {
    progress: (line) => process.stderr.write(`  ${line}\n`),
    timeoutMs: 1000 * count("--timeout", values.timeout, defaultTimeoutMs / 1000),
  });
  const current = await labStatus(request.name);
  if (values.json) printJson(current);
  else {
    process.stdout.write(started ? "The lab is up.\n\n" : "The lab is up already.\n\n");
    process.stdout.write(statusText(current));
  }
  return 0;
}

/** One node has one segment, whatever the default. */
function segmentsOf(text: string | undefined, nodes: number): number {
  return count("--segments", text, Math.min(defaultRequest.segments, nodes));
}

async function status(argv: readonly string[]): Promise<number> {
  const { values } = parse(argv, { ...labOption, ...jsonOption });
  const current = await labStatus(values.lab);
  if (values.json) printJson(current);
  else process.stdout.write(statusText(current));
  return 0;
}

async function check(argv: readonly string[]): Promise<number> {
  const { values } = parse(argv, { ...labOption, ...jsonOption });
  const paths = labPaths(values.lab);
  const state = requireState(values.lab, paths);
  const lab = { plan: planLab(state.request), pods: readPods(paths) };
  const report = await withDatastore(state, paths, (datastore) => checkLab(lab, datastore));
  if (values.json) printJson(report);
  else if (report.flows.length === 0) process.stdout.write("The lab has no pod to reach.\n");
  else {
    const color = process.stdout.isTTY === true;
    process.stdout.write(`${matrixText(report, { color })}\n${matrixLegend(report, color)}`);
    for (const flow of report.mismatches) {
      const want = flow.expected ? "should be allowed" : "should be blocked";
      process.stdout.write(
        `MISMATCH ${flow.from} to ${flow.to} (${flow.address}) ${flow.protocol} ${flow.port}: ${want} (${flow.because})\n`,
      );
    }
  }
  return report.mismatches.length === 0 ? 0 : 1;
}

async function pod(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parse(argv, {
    ...labOption,
    ...jsonOption,
    namespace: { type: "string", default: "default" },
    label: { type: "string", multiple: true, default: [] },
    port: { type: "string", multiple: true, default: [] },
  });
  const [action = "", node = "", name = "", ...extra] = positionals;
  if (action !== "add" && action !== "rm") {
    throw new InputError(`Cannot run "lab pod ${action}": it must be add or rm`);
  }
  if (name === "" || extra.length > 0)
    throw new InputError(`Usage: tortie lab pod ${action} NODE NAME`);
  checkDnsLabel("NAME", name);
  checkDnsLabel("--namespace", values.namespace);
  const paths = labPaths(values.lab);
  const state = requireState(values.lab, paths);
  requireNode(values.lab, node);
  if (action === "rm") {
    await removePod(requirePod(values.lab, node, values.namespace, name), paths);
    return 0;
  }
  await withDatastore(state, paths, (datastore) => ensureNamespace(values.namespace, datastore));
  const added = await addPod(
    {
      lab: values.lab,
      node,
      name,
      namespace: values.namespace,
      labels: Object.fromEntries(values.label.map(parseLabel)),
      ports: values.port.map(parsePort),
    },
    paths,
  );
  if (values.json) printJson(added);
  else process.stdout.write(`${added.netns} ${added.addresses.join(" ")}\n`);
  return 0;
}

async function exec(argv: readonly string[]): Promise<number> {
  const at = argv.indexOf("--");
  if (at < 0 || at === argv.length - 1) {
    throw new InputError("Usage: tortie lab exec NODE|NODE/POD -- COMMAND");
  }
  const { values, positionals } = parse(argv.slice(0, at), labOption);
  const [target = ""] = positionals;
  const [program = "", ...args] = argv.slice(at + 1);
  const [node = "", ...podParts] = target.split("/");
  const netns =
    podParts.length === 0
      ? requireNode(values.lab, node).netns
      : requirePod(
          values.lab,
          node,
          podParts.length > 1 ? (podParts[0] ?? "") : "default",
          podParts.at(-1) ?? "",
        ).netns;
  const child = spawn("nsenter", [`--net=${netnsPath(netns)}`, "--", program, ...args], {
    stdio: "inherit",
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(code ?? (signal === null ? 1 : 128)));
  });
}

async function printEnvironment(argv: readonly string[]): Promise<number> {
  const { values } = parse(argv, labOption);
  const paths = labPaths(values.lab);
  const variables = datastoreEnvironment(requireState(values.lab, paths), paths, "host");
  for (const [name, value] of Object.entries(variables)) {
    process.stdout.write(`export ${name}=${value}\n`);
  }
  return 0;
}

async function down(argv: readonly string[]): Promise<number> {
  const { values } = parse(argv, labOption);
  const removed = await labDown(values.lab, (line) => process.stderr.write(`  ${line}\n`));
  process.stdout.write(removed ? "The lab is gone.\n" : `There is no lab "${values.lab}".\n`);
  return 0;
}

function parse<const Options extends NonNullable<ParseArgsConfig["options"]>>(
  argv: readonly string[],
  options: Options,
) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new InputError((cause as Error).message, { cause });
  }
}

function count(option: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new InputError(`Cannot accept ${option} "${text}": it must be a whole number`);
}

function oneOf<Choice extends string>(
  option: string,
  text: string | undefined,
  choices: readonly Choice[],
  fallback: Choice,
): Choice {
  if (text === undefined) return fallback;
  const choice = choices.find((name) => name.toLowerCase() === text.toLowerCase());
  if (choice !== undefined) return choice;
  throw new InputError(
    `Cannot accept ${option} "${text}": it must be one of ${choices.join(", ")}`,
  );
}

function checkDnsLabel(what: string, text: string): void {
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)) return;
  throw new InputError(
    `Cannot accept ${what} "${text}": letters a-z, digits and "-", at most 63 of them`,
  );
}

function parseLabel(text: string): [string, string] {
  const match = /^([A-Za-z0-9][A-Za-z0-9_./-]*)=([A-Za-z0-9_.-]*)$/.exec(text);
  if (match?.[1] !== undefined && match[2] !== undefined) return [match[1], match[2]];
  throw new InputError(`Cannot accept --label "${text}": it must be key=value`);
}

function parsePort(text: string): LabPort {
  const match = /^([a-z0-9-]{1,15})=(\d{1,5})\/(tcp|udp)$/i.exec(text);
  const [, name = "", digits = "", protocol = ""] = match ?? [];
  const port = Number(digits);
  if (match !== null && port >= 1 && port <= 65535) {
    return { name, port, protocol: protocol.toUpperCase() as "TCP" | "UDP" };
  }
  throw new InputError(`Cannot accept --port "${text}": it must be NAME=PORT/TCP or NAME=PORT/UDP`);
}

function requireNode(lab: string, name: string) {
  const { nodes } = planLab(requireState(lab, labPaths(lab)).request);
  const node = nodes.find((candidate) => candidate.name === name);
  if (node !== undefined) return node;
  const names = nodes.map((candidate) => candidate.name).join(", ");
  throw new InputError(`Cannot find node "${name}" in the lab "${lab}": there are ${names}`);
}

function requirePod(lab: string, node: string, namespace: string, name: string): LabPod {
  requireNode(lab, node);
  const pod = readPods(labPaths(lab)).find(
    (candidate) =>
      candidate.node === node && candidate.namespace === namespace && candidate.name === name,
  );
  if (pod !== undefined) return pod;
  throw new InputError(`Cannot find pod "${name}" of namespace "${namespace}" on ${node}`);
}

function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
