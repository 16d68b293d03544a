import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nodeProcesses, startDaemon, stopProcesses, tortieProgram } from "../../src/lab/daemons.ts";
import {
  type Encapsulation,
  familiesOf,
  type LabIpFamily,
  planLab,
} from "../../src/lab/lab-plan.ts";
import { type LabPaths, labPaths, requireState } from "../../src/lab/lab-state.ts";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { nodeEnvironment } from "../../src/lab/node-environment.ts";
import { agentReady } from "../../src/lab/pods.ts";
import { type IpFamily, ipFamily, parseIpAddr } from "../../src/lib/ip-addr.ts";
import { Background, TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

export type MatrixNode = LabStatus["nodes"][number];
export type MatrixPod = LabStatus["pods"][number];

/** A virtual machine without hardware support is some 15 times slower. */
export const patienceMs: number = process.env["TORTIE_IN_VM"] === undefined ? 60_000 : 1_200_000;

/** A lab of three nodes on two segments, in one mode: nodes 1 and 2 share a segment, 3 is on the other. */
export class MatrixLab {
  readonly mode: Encapsulation;
  readonly ipFamily: LabIpFamily;
  readonly families: readonly IpFamily[];
  readonly lab: TestLab;
  #status: LabStatus | undefined;

  constructor(mode: Encapsulation, ipFamily: LabIpFamily) {
    this.mode = mode;
    this.ipFamily = ipFamily;
    this.families = familiesOf(ipFamily);
    this.lab = new TestLab(`m${mode.toLowerCase()}${ipFamily}`);
  }

  /** Where a family has no tunnel the router must know the pods' routes. */
  async up(): Promise<void> {
    const plain = this.families.some((family) => !this.hasTunnel(family));
    await this.lab.mustLab(
      ...["up", "--encapsulation", this.mode, "--ip-family", this.ipFamily, "--pods", "0"],
      ...["--fabric", plain ? "bgp" : "static", "--timeout", `${patienceMs / 1000}`],
    );
    await this.refresh();
    await Promise.all(this.status.nodes.map(({ name }) => this.addPods(name)));
    await this.refresh();
  }

  /** Says when `act` has ended, and how long it took: whoever waits for a slow machine sees where it is. */
  async told(what: string, act: () => Promise<void>): Promise<void> {
    const started = performance.now();
    let outcome = "failed";
    try {
      await act();
      outcome = "done";
    } finally {
      const seconds = Math.round((performance.now() - started) / 1000);
      console.log(`${this.mode}, ${this.ipFamily}: ${what}: ${outcome} in ${seconds} s`);
    }
  }

  /** Two: a client and a server. A slow machine may need more than one try. */
  async addPods(node: string): Promise<void> {
    for (const [name, app] of Object.entries({ pod1: "client", pod2: "server" })) {
      const add = ["pod", "add", node, name, "--label", `app=${app}`];
      await waitFor(() => this.lab.mustLab(...add).then(() => true), {
        timeoutMs: patienceMs,
        what: `${name} of ${node}`,
      });
    }
  }

  async refresh(): Promise<void> {
    this.#status = await this.lab.status();
  }

  hasTunnel(family: IpFamily): boolean {
    return this.mode.startsWith("VXLAN") || (this.mode.startsWith("IPIP") && family === 4);
  }

  /** True when packets of the family between these nodes take a tunnel. */
  isTunneled(family: IpFamily, from: MatrixNode, to: MatrixNode): boolean {
    const crosses = from.segment !== to.segment || !this.mode.endsWith("CrossSubnet");
    return this.hasTunnel(family) && crosses;
  }

  get status(): LabStatus {
    return this.#status ?? assert.fail("the lab is not up");
  }

  node(number: number): MatrixNode {
    return this.status.nodes[number - 1] ?? assert.fail(`no node ${number}`);
  }

  /** The first pod of a node. */
  pod(number: number): MatrixPod {
    const { name } = this.node(number);
    const found = this.status.pods.find((pod) => pod.node === name && pod.name === "pod1");
    return found ?? assert.fail(`no pod on ${name}`);
  }

  address(of: { readonly addresses: readonly string[] }, family: IpFamily): string {
    const found = of.addresses.find((text) => ipFamily(parseIpAddr(text)) === family);
    return found ?? assert.fail(`no IPv${family} address`);
  }

  block(number: number, family: IpFamily): string {
    const found = this.node(number).blocks.find((text) => text.includes(":") === (family === 6));
    return found ?? assert.fail(`no IPv${family} block`);
  }

  inside(of: { readonly netns: string }, ...command: readonly string[]): Promise<string> {
    return this.lab.inside(of.netns, ...command);
  }

  /** The exit code counts, too. */
  async ping(from: { readonly netns: string }, ...args: readonly string[]): Promise<void> {
    await this.inside(from, "ping", "-n", "-c1", "-W2", ...args);
  }

  routes(of: MatrixNode, family: IpFamily): Promise<string> {
    return this.inside(of, "ip", `-${family}`, "route");
  }

  /** Everything that policy allows reaches its pod, and nothing else, in the end. */
  async converges(): Promise<void> {
    await waitFor(
      async () => {
        const { flows, mismatches } = await this.lab.check();
        const [first] = mismatches;
        if (flows.length === 0 || first !== undefined) throw new Error(JSON.stringify(first));
        return true;
      },
      { timeoutMs: patienceMs, what: "all as policy says", intervalMs: 1000 },
    );
  }

  /** What tcpdump shows in the router while `act` runs. */
  async captured(filter: string, act: () => Promise<void>): Promise<readonly string[]> {
    const dump = new Background(
      this.status.router,
      "tcpdump",
      "-lnqi",
      "any",
      ...filter.split(" "),
    );
    try {
      await waitFor(() => dump.output.includes("listening"), {
        timeoutMs: patienceMs,
        what: "tcpdump",
      });
      await act();
      await isQuiet(dump);
    } finally {
      await dump.stop();
    }
    return dump.printed.split("\n").filter((line) => line.includes(" > "));
  }

  /** Ends the node's processes, and begins them anew when what is returned is called. */
  async stopNode(number: number): Promise<(env?: Record<string, string>) => void> {
    const paths = this.#paths;
    const state = requireState(this.lab.name, paths);
    const plan = planLab(state.request);
    const node = plan.nodes[number - 1] ?? assert.fail(`no node ${number}`);
    const running = Object.values(nodeProcesses(paths.runFolder(node.name)));
    await stopProcesses(running, patienceMs);
    return (env = {}) => {
      startDaemon({
        program: tortieProgram,
        args: ["node"],
        env: { ...nodeEnvironment(node, plan, state, paths), ...env },
        netns: node.netns,
        log: paths.nodeLog(node.name),
      });
    };
  }

  async agentListens(number: number): Promise<void> {
    const { name } = this.node(number);
    const stillAlive = () => true;
    await agentReady(name, this.#paths, { timeoutMs: patienceMs, stillAlive });
  }

  /** The lab's top-of-rack router, where there is one, knows the node by another address. */
  async tellRouter(before: string, after: string): Promise<void> {
    const folder = this.#paths.birdFolder;
    const file = join(folder, "bird.conf");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace(`neighbor ${before} `, `neighbor ${after} `));
    await this.lab.inside(this.status.router, "birdc", "-s", join(folder, "bird.ctl"), "configure");
  }

  get #paths(): LabPaths {
    return labPaths(this.lab.name, { TORTIE_LAB_DIR: this.lab.folder });
  }

  async down(): Promise<void> {
    await this.lab.down();
  }
}

/** tcpdump prints what it has every some 100 ms. */
async function isQuiet(dump: Background): Promise<void> {
  let before = -1;
  await waitFor(
    () => {
      const same = dump.printed.length === before;
      before = dump.printed.length;
      return same;
    },
    { timeoutMs: patienceMs, what: "tcpdump to be quiet", intervalMs: 400 },
  );
}

export interface CellResult {
  readonly check: string;
  readonly mode: Encapsulation;
  readonly ipFamily: LabIpFamily;
  /** "yes", or why there is nothing to test. */
  readonly result: string;
}

/** Told to who writes the table: a line of the test's output. */
export function report(result: CellResult): void {
  console.log(`ENCAPSULATION ${JSON.stringify(result)}`);
}
