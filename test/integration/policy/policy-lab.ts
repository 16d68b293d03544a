import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { decodeManifest } from "../../../src/api/manifest.ts";
import { keyOf, keyText, type ResourceKey } from "../../../src/api/resource-key.ts";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import type { WorkloadEndpoint } from "../../../src/api/resources/workload-endpoint.ts";
import { type IpFamily, parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { type Probe, parseProbe } from "../../support/packets/probe-text.ts";
import { type End, Prober } from "../../support/packets/prober.ts";
import { Stream } from "../../support/packets/stream.ts";
import { waitFor } from "../../support/wait-for.ts";
import { FelixNode, inside } from "../felix-node.ts";
import { cluster, hexByte, macOf, podNumbers } from "./lab-cluster.ts";
import type { PolicyCase } from "./policy-case.ts";

const bothFamilies: readonly IpFamily[] = [4, 6];

/**
 * One node with pods, a real felix and a datastore, for many cases one after the other:
 *
 * ```
 * prod/client .3   prod/server .2   prod/other .4   dev/client .5          10.0.0.0/16, fd00:10::/64
 *       └────────────────┴──────┬─────────┴──────────────┘
 *                             host ── eth0 ── outside                      192.168.1.0/24, 2001:db8:1::/64
 * ```
 */
export class PolicyLab {
  readonly felix: FelixNode;
  readonly #prober = new Prober();
  #ends: Readonly<Record<string, End>> = {};
  /** What the present case has put into the datastore. */
  #present: readonly AnyResource[] = [];
  #besides: readonly AnyResource[] = [];
  /** What it has changed or taken away. */
  #changed: readonly AnyResource[] = [];
  #barriers = 0;

  constructor(name: string, env: Readonly<Record<string, string>>) {
    this.felix = new FelixNode(name, {
      FELIX_FLOATINGIPS: "Enabled",
      FELIX_WORKLOADSOURCESPOOFING: "Any",
      ...env,
    });
  }

  async start(): Promise<void> {
    this.#ends = this.#build();
    await this.#put(cluster);
    await this.felix.start();
    await this.settled();
  }

  #build(): Readonly<Record<string, End>> {
    const { felix } = this;
    felix.addOutside("192.168.1.1/24");
    batch(felix.netns, [
      "address add 2001:db8:1::11/64 dev eth0 nodad",
      "route add default via 2001:db8:1::1",
      "link add calisync type veth peer name sync",
      "link set calisync up",
      "link set sync up",
    ]);
    batch(felix.outside, [
      "address add 2001:db8:1::1/64 dev other nodad",
      "address add 192.168.1.2/24 dev other",
      "address add 2001:db8:1::2/64 dev other nodad",
      "route add default via 192.168.1.11",
      "route add default via 2001:db8:1::11",
    ]);
    const pods = podNumbers.map(([pod, number]) => [pod, this.#addPod(pod, number)] as const);
    const outside = end(felix.outside, "192.168.1.1", "2001:db8:1::1");
    batch(`${felix.netns}-client`, [
      "address add 203.0.113.9/32 dev lo",
      "address add 2001:db8:bad::9/128 dev lo nodad",
    ]);
    return {
      ...Object.fromEntries(pods),
      outside,
      "outside.2": end(felix.outside, "192.168.1.2", "2001:db8:1::2"),
      host: end(felix.netns, "192.168.1.11", "2001:db8:1::11"),
      "client.spoofed": {
        ...end(`${felix.netns}-client`, "203.0.113.9", "2001:db8:bad::9"),
        oneWay: true,
      },
      "server.floating": {
        ...end(`${felix.netns}-server`, "192.0.2.2", "2001:db8:f::2"),
        own: addresses("10.0.0.2", "fd00:10::2"),
      },
    };
  }

  async close(): Promise<void> {
    this.#prober.close();
    await this.felix.close();
  }

  /** Puts the case in the place of the one before, and waits until the kernel has it. */
  async use({
    manifests,
    stored = "",
    changes = {},
  }: Pick<PolicyCase, "manifests" | "stored" | "changes">): Promise<void> {
    const { datastore } = this.felix;
    for (const resource of this.#changed) await this.#putBack(resource);
    for (const resource of this.#present.toReversed()) await datastore.delete(keyOf(resource));
    const put = [...(await this.#put(manifests)), ...(await this.#store(documentsOf(stored)))];
    const changed: AnyResource[] = [];
    for (const [text, change] of Object.entries(changes))
      changed.push(await this.#change(text, change));
    const isGone = ({ kind, metadata }: AnyResource) =>
      changes[`${kind}/${metadata.name}`] === null;
    this.#present = put.filter((resource) => !isGone(resource));
    this.#changed = changed.filter((resource) => !put.some((one) => isSame(one, resource)));
    await this.settled();
  }

  /** Puts these in the place of those that the last call has put. Waits for nobody. */
  async useBesides(manifests: string): Promise<void> {
    for (const resource of this.#besides.toReversed()) {
      await this.felix.datastore.delete(keyOf(resource));
    }
    this.#besides = await this.#put(manifests);
  }

  /** Gives it as it was. */
  async #change(text: string, change: object | null): Promise<AnyResource> {
    const { datastore } = this.felix;
    const [kind, ...path] = text.split("/");
    const [name, namespace] = path.toReversed();
    const key = { kind, name, ...(namespace === undefined ? {} : { namespace }) } as ResourceKey;
    const before = (await datastore.get(key)) as AnyResource;
    if (change === null) await datastore.delete(key);
    else await datastore.update({ ...before, spec: { ...before.spec, ...change } } as never);
    return before;
  }

  async #putBack(resource: AnyResource): Promise<void> {
    const { datastore } = this.felix;
    const { resourceVersion: _old, ...metadata } = resource.metadata;
    await datastore.delete(keyOf(resource)).catch(() => undefined);
    await datastore.create({ ...resource, metadata } as never);
  }

  /** Tells each probe of which the packet did not do as it should. */
  async wrongs({
    passes = [],
    drops = [],
    families = bothFamilies,
  }: PolicyCase): Promise<string[]> {
    const wrong: string[] = [];
    for (const family of families) {
      for (const text of passes) {
        if (!(await this.passes(text, true, family)))
          wrong.push(`dropped in IPv${family}: ${text}`);
      }
      for (const text of drops) {
        if (await this.passes(text, false, family)) wrong.push(`passed in IPv${family}: ${text}`);
      }
    }
    return wrong;
  }

  passes(text: string, expected: boolean, family: IpFamily): Promise<boolean> {
    const probe = parseProbe(text);
    const [from, to] = this.#endsOf(probe);
    return this.#prober.passes(probe, { from, to, family, expected });
  }

  /** A TCP connection between two ends. */
  async openStream(from: string, to: string, port: number, family: IpFamily): Promise<Stream> {
    const [source, destination] = this.#endsOf({ from, to, text: `${from} -> ${to}` });
    return Stream.open(
      { netnsFd: this.#prober.namespaceOf(source), address: source.addresses[family] },
      { netnsFd: this.#prober.namespaceOf(destination), address: destination.addresses[family] },
      { port, family },
    );
  }

  netnsOf(name: string): string {
    return this.#endsOf({ from: name, to: name, text: name })[0].netns;
  }

  /** Packets that arrived after all. */
  strays(): string[] {
    return this.#prober.strays();
  }

  #put(manifests: string): Promise<readonly AnyResource[]> {
    const resources = documentsOf(manifests).flatMap((one) =>
      decodeManifest(one).map(({ resource }) => resource),
    );
    return this.#store(resources);
  }

  async #store(resources: readonly AnyResource[]): Promise<readonly AnyResource[]> {
    for (const resource of resources) await this.felix.datastore.create(resource as never);
    return resources;
  }

  /**
   * Changes an endpoint that nobody uses and waits until felix says that it is as wanted in the kernel: what
   * was written before it is there too.
   */
  async settled(): Promise<void> {
    const { datastore, folder } = this.felix;
    const key = {
      kind: "WorkloadEndpoint",
      name: "node--a-k8s-sync-eth0",
      namespace: "prod",
    } as const;
    const endpoint: WorkloadEndpoint = await datastore.get(key);
    const mac = `02:00:00:01:${hexByte(++this.#barriers >> 8)}:${hexByte(this.#barriers & 0xff)}`;
    await datastore.update<"WorkloadEndpoint">({ ...endpoint, spec: { ...endpoint.spec, mac } });
    const status = join(folder, "endpoint-status", "k8s prod%2Fsync eth0");
    await waitFor(() => readFileSync(status, "utf8").includes(mac), {
      timeoutMs: 20_000,
      intervalMs: 2,
      what: "felix",
    });
  }

  #addPod(name: string, number: number): End {
    const netns = this.felix.addPod(name, `10.0.0.${number}`, macOf(number));
    batch(netns, [
      `address add fd00:10::${number}/128 dev eth0 nodad`,
      "route add default via fe80::ecee:eeff:feee:eeee dev eth0",
      "link set lo up",
    ]);
    return end(netns, `10.0.0.${number}`, `fd00:10::${number}`);
  }

  #endsOf({ from, to, text }: Pick<Probe, "from" | "to" | "text">): readonly [End, End] {
    const found = [this.#ends[from], this.#ends[to]] as const;
    if (found[0] === undefined || found[1] === undefined) {
      throw new RangeError(`Nobody is known by a name of "${text}"`);
    }
    return [found[0], found[1]];
  }
}

function documentsOf(yaml: string): AnyResource[] {
  const documents = parseAllDocuments(yaml).map(
    (document) => document.toJS() as AnyResource | null,
  );
  return documents.filter((document) => document !== null);
}

function isSame(a: AnyResource, b: AnyResource): boolean {
  return keyText(keyOf(a)) === keyText(keyOf(b));
}

function addresses(v4: string, v6: string): End["addresses"] {
  return { 4: parseIpAddr(v4), 6: parseIpAddr(v6) };
}

function end(netns: string, v4: string, v6: string): End {
  return { netns, addresses: addresses(v4, v6) };
}

function batch(netns: string, lines: readonly string[]): void {
  inside(netns, "ip", ["-batch", "-"], lines.join("\n"));
}
