import type { Node } from "../api/resources/node.ts";
import { isLocked } from "../datastore/cluster-lock.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import { tunnelHandle, tunnelHandles } from "../ipam/handles.ts";
import type { Ipam } from "../ipam/ipam.ts";
import { type Pool, poolsOf } from "../ipam/pools.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import type { Logger } from "../lib/log.ts";
import type { StoredInputs } from "./stored-inputs.ts";
import type { TunnelDebts } from "./tunnel-debts.ts";
import type { TunnelLinger } from "./tunnel-linger.ts";
import {
  parsedAddress,
  type TunnelRow,
  tunnelPools,
  tunnelRows,
  tunnelStep,
  type WireguardFamilies,
  wireguardFamilies,
} from "./tunnel-plan.ts";

export interface TunnelPorts {
  /** FELIX_WIREGUARDENABLED and FELIX_WIREGUARDENABLEDV6 count. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly datastore: Datastore;
  readonly ipam: Ipam;
  readonly log: Logger;
  /** How long a tunnel stays that no pool calls for. Absent: not at all. */
  readonly linger?: TunnelLinger;
  /** Addresses that the Node may not have any more, and IPAM still has. Absent: nobody looks for them. */
  readonly debts?: TunnelDebts;
}

/**
 * Gives a node an address for each kind of tunnel that its pools call for, and takes back those that
 * none calls for (facts 3.9). Idempotent. A crash between IPAM and the Node leaves an address that
 * only its handle knows: the next run that assigns one releases it, or one that looks for such debts. While
 * the datastore is locked nothing changes.
 *
 * @throws {AggregateError} of all kinds that failed; the others are done.
 */
export async function reconcileTunnelAddresses(
  name: string,
  stored: StoredInputs,
  ports: TunnelPorts,
): Promise<void> {
  const { datastore, env } = ports;
  if (await isLocked(datastore)) {
    ports.linger?.forgetAll();
    return;
  }
  const pools = poolsOf(stored.pools);
  const node = await datastore.get({ kind: "Node", name });
  const wireguard = wireguardFamilies(env, stored.configurations, node);
  const failures: unknown[] = [];
  for (const row of tunnelRows) {
    try {
      await reconcileTunnel(row, name, { ...ports, pools, wireguard });
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, "Cannot assign tunnel addresses");
}

async function reconcileTunnel(
  row: TunnelRow,
  name: string,
  ports: TunnelPorts & { readonly pools: readonly Pool[]; readonly wireguard: WireguardFamilies },
): Promise<void> {
  const { datastore, ipam, log, wireguard, linger, debts } = ports;
  const node = await datastore.get({ kind: "Node", name });
  const pools = tunnelPools(row, ports.pools, { node, wireguard });
  const present = parsedAddress(row.read(node.spec) ?? "");
  const holder = present === undefined ? undefined : await ipam.holderOf(present);
  const step = tunnelStep(row, node, { ...pools, holder });
  if (step.kind === "clear" && linger?.isOver(row.kind) === false) return;
  linger?.forget(row.kind);
  const handle = tunnelHandle(row.kind, name);
  if (step.kind === "keep") {
    // What a run released only half: its Node says nothing of it.
    if (present === undefined && debts?.isDue(row.kind)) await ipam.releaseByHandle(handle);
    debts?.settle(row.kind);
    return;
  }
  if (step.kind === "clear") {
    debts?.owe(row.kind);
    // First the field: nobody may be told of an address that another may get.
    await writeTunnelAddress(row, name, { datastore, address: undefined });
    await ipam.releaseByHandle(handle);
    debts?.settle(row.kind);
    log.info({ tunnel: row.kind, address: present }, "tunnel address released");
    return;
  }
  if (present !== undefined || (await ipam.knowsHandle(handle))) {
    // Also when the field is clear: a write of an earlier run that is still on its way must fail.
    await writeTunnelAddress(row, name, { datastore, address: undefined });
    await ipam.releaseByHandle(handle);
  }
  const address = await assignTunnelAddress(row, name, { ipam, pools: step.pools });
  // When this fails the address stays with the handle: the write may still take place.
  await writeTunnelAddress(row, name, { datastore, address });
  log.info({ tunnel: row.kind, address, instead: present }, "tunnel address assigned");
}

async function assignTunnelAddress(
  row: TunnelRow,
  node: string,
  { ipam, pools }: { readonly ipam: Ipam; readonly pools: readonly Pool[] },
): Promise<IpAddr> {
  const names = pools.map((pool) => pool.name);
  const [assigned] = await ipam.autoAssign({
    node,
    use: "Tunnel",
    handle: tunnelHandle(row.kind, node),
    attributes: { node, type: tunnelHandles[row.kind].type },
    ...(row.family === 4 ? { num4: 1, pools4: names } : { num6: 1, pools6: names }),
  });
  if (assigned === undefined)
    throw new Error(`Cannot assign a ${row.kind} address: IPAM gave none`);
  return assigned.address;
}

const maxAttempts = 20;

async function writeTunnelAddress(
  row: TunnelRow,
  name: string,
  change: { readonly datastore: Datastore; readonly address: IpAddr | undefined },
): Promise<Node> {
  for (let attempt = 1; ; attempt++) {
    const node = await change.datastore.get({ kind: "Node", name });
    try {
      return await change.datastore.update<"Node">({
        ...node,
        spec: row.write(node.spec, change.address),
      });
    } catch (error) {
      if (!isDatastoreError(error, "conflict") || attempt >= maxAttempts) throw error;
    }
  }
}
