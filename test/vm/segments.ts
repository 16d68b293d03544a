import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import type { NodeSpec } from "../../src/api/resources/node.ts";
import { askControl } from "../../src/cli/control-client.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import type { PathReport } from "../../src/paths/run-check.ts";
import { block, node, pod } from "../states/resources.ts";
import { FelixProcess } from "../support/felix-process.ts";
import { TestNetns } from "../support/netns.ts";
import { waitFor } from "../support/wait-for.ts";

/** One node on its own segment: 192.168.NUMBER.11/24, with a pod 10.0.NUMBER.1 in a namespace of its own. */
export interface Segment {
  readonly name: string;
  readonly node: string;
  readonly netns: TestNetns;
  readonly podNetns: TestNetns;
  readonly felix: FelixProcess;
  readonly nodeAddress: string;
  readonly podAddress: string;
  readonly block: string;
  readonly tunnelAddress: string;
}

/** Two nodes of two segments with a router between, and felix on each. */
export class TwoSegments {
  readonly folder: string;
  readonly store: string;
  readonly datastore: Datastore;
  readonly router: TestNetns = new TestNetns("router");
  readonly a: Segment;
  readonly b: Segment;

  constructor(label: string, env: Readonly<Record<string, string>> = {}) {
    this.folder = mkdtempSync(join(tmpdir(), `tortie-${label}-`));
    this.store = join(this.folder, "store");
    this.datastore = openEmbeddedDatastore(this.store);
    this.a = this.#segment("a", 1, env);
    this.b = this.#segment("b", 2, env);
  }

  #segment(name: string, number: number, env: Readonly<Record<string, string>>): Segment {
    const netns = new TestNetns(name);
    const podNetns = new TestNetns(`pod${name}`);
    const { router } = this;
    netns.addVeth("eth0", `seg${number}`, router);
    netns.ip(`address add 192.168.${number}.11/24 dev eth0`);
    router.ip(`address add 192.168.${number}.1/24 dev seg${number}`);
    netns.ip(`route add default via 192.168.${number}.1`);
    netns.addVeth(`cali${name}`, "eth0", podNetns);
    podNetns.ip(`address add 10.0.${number}.1/32 dev eth0`);
    podNetns.ip("route add 169.254.1.1 dev eth0 scope link");
    podNetns.ip("route add default via 169.254.1.1");
    for (const each of [netns, router]) each.run("sysctl", ["-q", "-w", "net.ipv4.ip_forward=1"]);
    const felix = new FelixProcess({
      netns: netns.name,
      node: `node-${name}`,
      store: this.store,
      folder: join(this.folder, name),
      env: { FELIX_IPV6SUPPORT: "false", ...env },
    });
    return {
      name,
      node: `node-${name}`,
      netns,
      podNetns,
      felix,
      nodeAddress: `192.168.${number}.11`,
      podAddress: `10.0.${number}.1`,
      block: `10.0.${number}.0/29`,
      tunnelAddress: `10.0.${number}.2`,
    };
  }

  /** With the cluster's resources in the datastore; `specOf` adds to a Node's. */
  async start(
    cluster: readonly AnyResource[],
    specOf: (segment: Segment) => Partial<NodeSpec>,
  ): Promise<void> {
    const own = [this.a, this.b].flatMap((segment) => resourcesOf(segment, specOf(segment)));
    for (const resource of [...cluster, ...own]) await this.datastore.create(resource as never);
    await Promise.all([this.a.felix.start(), this.b.felix.start()]);
  }

  /**
   * Checks node-b from node-a until the report is so: this machine is slow, and a tunnel takes its time.
   * Felix needs pathChecks Enabled.
   */
  checked(what: string, isSo: (report: PathReport) => boolean): Promise<PathReport> {
    const path = join(this.folder, this.a.name, "paths.sock");
    const check = { nodes: [this.b.node], throughput: false, dryRun: false };
    const ask = async () => {
      let report: PathReport | undefined;
      for await (const row of askControl(path, { request: "check-paths", ...check })) {
        report = row as PathReport;
      }
      return report !== undefined && isSo(report) ? report : undefined;
    };
    return waitFor(ask, { timeoutMs: 180_000, what, intervalMs: 500 });
  }

  async close(): Promise<void> {
    const { a, b, router } = this;
    await Promise.all([a.felix.stop("SIGKILL"), b.felix.stop("SIGKILL")]);
    await this.datastore.close();
    for (const each of [a.podNetns, b.podNetns, a.netns, b.netns, router]) each.remove();
    rmSync(this.folder, { recursive: true });
  }
}

function resourcesOf(segment: Segment, spec: Partial<NodeSpec>): AnyResource[] {
  const { name, node: me, nodeAddress, podAddress, podNetns } = segment;
  return [
    node(me, `${nodeAddress}/24`, spec),
    block(segment.block, me, { 1: me, 2: me }),
    pod(`node--${name}-k8s-pod-eth0`, {
      node: me,
      ip: `${podAddress}/32`,
      interfaceName: `cali${name}`,
      mac: podNetns.ipJson<{ address: string }>("link show eth0")[0]?.address ?? "",
    }),
  ];
}

/** The largest packets of each path of a check, by what carries it; undefined: no answer. */
export function sizesOf({ peers: [peer] }: PathReport): Readonly<Record<string, unknown>> {
  const paths = peer?.paths ?? [];
  return Object.fromEntries(paths.map(({ path, mtu }) => [path.carrier, mtu?.back?.largest]));
}

export function says(text: RegExp): (report: PathReport) => boolean {
  return ({ findings }) => findings.some((finding) => text.test(finding.text));
}

export function reaches(from: TestNetns, address: string): boolean {
  try {
    from.run("ping", ["-c1", "-W2", address]);
    return true;
  } catch {
    return false;
  }
}
