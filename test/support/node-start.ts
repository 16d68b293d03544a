import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Kind } from "../../src/api/resource-of-kind.ts";
import { bgpKinds } from "../../src/bgp/speaker/resource-cache.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";
import { runSyncer } from "../../src/datastore/reflector.ts";
import { sharedDatastore, sharingDatastore } from "../../src/datastore/shared/shared-datastore.ts";
import { calcKinds } from "../../src/felix/calc/calc-graph.ts";
import { Ipam } from "../../src/ipam/ipam.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { systemClock as clock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { onDatastoreChange } from "../../src/node/datastore-changes.ts";
import { felixValues } from "../../src/node/felix-values.ts";
import { runStartup } from "../../src/node/startup.ts";
import { storedInputs } from "../../src/node/stored-inputs.ts";
import { reconcileTunnelAddresses } from "../../src/node/tunnel-addresses.ts";
import { PathChecks } from "../../src/paths/path-checks.ts";
import { tellOfNetworkSurely } from "../../src/wiring/network-condition.ts";
import { StoredLayers } from "../../src/wiring/stored-layers.ts";

/** A node that starts in this process. */
export interface NodeStart {
  /** It is node-INDEX. */
  readonly index: number;
  /** For its files. */
  readonly folder: string;
  /** KUBECONFIG or K8S_API_ENDPOINT. */
  readonly access: Readonly<Record<string, string>>;
  /** A connection to the API server that `access` names. */
  readonly open: () => Promise<Datastore>;
}

const log = createLogger({ name: "node", level: "silent" });

/**
 * Does what `tortie node`, `tortie felix` and `tortie bgp` of one node ask of the API server, each of the three by
 * itself, but for what the first tells the others; only the kernel is made up. Resolves when all are in sync; they
 * follow until `signal` aborts.
 */
export async function startNode(start: NodeStart, signal: AbortSignal): Promise<void> {
  const { index, folder, access, open } = start;
  const name = `node-${index}`;
  const env = {
    ...access,
    NODENAME: name,
    IP: "autodetect",
    DATASTORE_TYPE: "kubernetes",
    CALICO_IPV4POOL_CIDR: "10.244.0.0/16",
    CALICO_IPV4POOL_VXLAN: "CrossSubnet",
    CALICO_IPV6POOL_CIDR: "none",
    CALICO_NODENAME_FILE: join(folder, name),
  };
  const connect = async () => ({
    datastore: await open(),
    path: join(folder, `${name}.sock`),
    clock,
    log,
  });
  const closeLater = (datastore: Datastore) => {
    signal.addEventListener("abort", () => void datastore.close());
    return datastore;
  };
  const sharing = sharingDatastore(await connect());
  const datastore = closeLater(sharing.datastore);
  void sharing.serve(signal);
  const kernel = kernelOf(index);
  const random = (octets: number) => randomBytes(octets);
  const ports = { datastore, kernel, clock, log, random, version: "v0", ipv6: false };
  await runStartup(env, ports, signal);
  const ipam = new Ipam({ datastore, clock, random: Math.random });
  await ipam.upgradeHost(name);
  const stored = await storedInputs(datastore);
  await felixValues(env, name, { ...stored, datastore });
  await reconcileTunnelAddresses(name, stored, { datastore, ipam, log, env });
  // The daemons are started now.
  const ofFelix = closeLater(sharedDatastore(await connect()));
  const ofBgp = closeLater(sharedDatastore(await connect()));
  void pathChecksOf(name, ofFelix, kernel).run(signal);
  const nodeKinds = ["ClusterInformation", "FelixConfiguration", "IPPool", "Node"] as const;
  await Promise.all([
    tellOfNetworkSurely(env, { log, signal }),
    changesFollowed(nodeKinds, datastore, signal),
    inSync(StoredLayers.kinds, ofFelix, signal),
    inSync(["ClusterInformation", ...calcKinds], ofFelix, signal),
    inSync(bgpKinds, ofBgp, signal),
    inSync(["CalicoNodeStatus"], ofBgp, signal),
  ]);
}

/** Path checks that are off, as they are unless asked for: they look whether they left something. */
function pathChecksOf(nodeName: string, datastore: Datastore, kernel: NodeKernel): PathChecks {
  const ports = { nodeName, datastore, clock, log, random: Math.random, controlPath: "" };
  const checks = new PathChecks({ ...ports, kernel: kernel as Kernel });
  checks.configure({ enabled: false, intervalMs: 0, port: 0, samplePeers: 0, tunnels: [] });
  return checks;
}

function changesFollowed(
  kinds: readonly Kind[],
  datastore: Datastore,
  signal: AbortSignal,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const callbacks = { matters: () => false, onChange: () => resolve() };
  void onDatastoreChange(kinds, { datastore, clock, log }, callbacks)(signal);
  return promise;
}

function inSync(kinds: readonly Kind[], datastore: Datastore, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const callbacks = {
    onUpdates: () => undefined,
    onStatus: (status: string) => {
      if (status === "in-sync") resolve();
    },
  };
  void runSyncer({ kinds }, { datastore, clock, log, callbacks }, signal);
  return promise;
}

type NodeKernel = Pick<Kernel, "links" | "addresses">;

/** Of a machine with one interface. */
function kernelOf(index: number): NodeKernel {
  const address = `192.168.${index >> 8}.${index & 0xff}`;
  const links = { list: async () => [{ name: "eth0", ifindex: 2, up: true, mtu: 1500 }] };
  const addresses = { list: async () => [{ ifindex: 2, address, length: 16 }] };
  return { links, addresses } as unknown as NodeKernel;
}
