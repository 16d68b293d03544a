import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Kind } from "../../src/api/resource-of-kind.ts";
import { bgpKinds } from "../../src/bgp/speaker/resource-cache.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";
import { openKubernetesDatastore } from "../../src/datastore/kubernetes/kubernetes-datastore.ts";
import { runSyncer } from "../../src/datastore/reflector.ts";
import { calcKinds } from "../../src/felix/calc/calc-graph.ts";
import { Ipam } from "../../src/ipam/ipam.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { onDatastoreChange } from "../../src/node/datastore-changes.ts";
import { felixValues } from "../../src/node/felix-values.ts";
import { runStartup } from "../../src/node/startup.ts";
import { reconcileTunnelAddresses } from "../../src/node/tunnel-addresses.ts";
import { StoredLayers } from "../../src/wiring/stored-layers.ts";

/**
 * Starts many nodes at once in this process, and prints how long it took until all were in sync:
 * KUBECONFIG FIRST COUNT. Each does what `tortie node`, `tortie felix` and `tortie bgp` ask of the API
 * server, with a connection for each of the three; only the kernel is made up.
 */

const [kubeconfig = "", first = "0", count = "0"] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "tortie-bench-nodes-"));
const log = createLogger({ name: "node", level: "silent" });
const forever = new AbortController().signal;
const startedAt = performance.now();
await Promise.all(
  Array.from({ length: Number(count) }, (_, index) => startNode(Number(first) + index)),
);
console.log(JSON.stringify({ inSyncMs: performance.now() - startedAt }));
rmSync(folder, { recursive: true });
process.exit(0);

async function startNode(index: number): Promise<void> {
  const [ofNode, ofFelix, ofBgp] = await Promise.all([open(), open(), open()]);
  const name = `node-${index}`;
  const env = {
    NODENAME: name,
    IP: "autodetect",
    DATASTORE_TYPE: "kubernetes",
    CALICO_IPV4POOL_CIDR: "10.244.0.0/16",
    CALICO_IPV4POOL_VXLAN: "CrossSubnet",
    CALICO_IPV6POOL_CIDR: "none",
    CALICO_NODENAME_FILE: join(folder, name),
  };
  const random = (octets: number) => randomBytes(octets);
  const datastore = ofNode;
  const ports = { datastore, kernel: kernelOf(index), clock: systemClock, log, random };
  await runStartup(env, { ...ports, version: "v0", ipv6: false }, forever);
  const ipam = new Ipam({ datastore, clock: systemClock, random: Math.random });
  await ipam.upgradeHost(name);
  await felixValues(env, name, datastore);
  await datastore.list("IPPool");
  await reconcileTunnelAddresses(name, { datastore, ipam, log, env });
  const nodeKinds = ["ClusterInformation", "FelixConfiguration", "IPPool", "Node"] as const;
  await Promise.all([
    changesFollowed(nodeKinds, datastore),
    inSync(StoredLayers.kinds, ofFelix),
    inSync(["ClusterInformation", ...calcKinds], ofFelix),
    inSync(bgpKinds, ofBgp),
    inSync(["CalicoNodeStatus"], ofBgp),
  ]);
}

/** Patient: one thread does here what that of every node does elsewhere. */
function open(): Promise<Datastore> {
  const config = { access: { kubeconfig }, apiGroup: "crd.projectcalico.org/v1" } as const;
  return openKubernetesDatastore(config, { deadlineMs: 120_000 });
}

function changesFollowed(kinds: readonly [Kind, ...Kind[]], datastore: Datastore): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const callbacks = { matters: () => false, onChange: () => resolve() };
  void onDatastoreChange(kinds, { datastore, clock: systemClock }, callbacks)(forever);
  return promise;
}

function inSync(kinds: readonly Kind[], datastore: Datastore): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const callbacks = {
    onUpdates: () => undefined,
    onStatus: (status: string) => {
      if (status === "in-sync") resolve();
    },
  };
  void runSyncer({ kinds }, { datastore, clock: systemClock, log, callbacks }, forever);
  return promise;
}

/** Of a machine with one interface. */
function kernelOf(index: number): Pick<Kernel, "links" | "addresses"> {
  const address = `192.168.${index >> 8}.${index & 0xff}`;
  const links = { list: async () => [{ name: "eth0", ifindex: 2, up: true, mtu: 1500 }] };
  const addresses = { list: async () => [{ ifindex: 2, address, length: 16 }] };
  return { links, addresses } as unknown as Pick<Kernel, "links" | "addresses">;
}
