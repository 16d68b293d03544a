import type { KernelChange, LinkChange } from "../kernel/dry/kernel-change.ts";
import type { KernelLink, WireguardDevice } from "../kernel/kernel.ts";
import type { Finding } from "./finding.ts";
import type { LinkNames } from "./judge-routes.ts";

/** Devices, with what is set on them: addresses, keys and peers of WireGuard, limits. */
export function judgeDevices(
  changes: readonly KernelChange[],
  before: ReadonlyMap<number, WireguardDevice>,
  names: LinkNames,
): Finding[] {
  const gone = new Map<string, KernelLink>();
  const made = new Set<string>();
  for (const change of changes) {
    if (change.kind !== "link") continue;
    if (change.op === "remove") gone.set(change.link.name, change.link);
    if (change.op === "add") made.add(change.link.name);
  }
  return changes.flatMap((change) => {
    const nameOf = (ifindex: number) => names.get(ifindex) ?? `${ifindex}`;
    // What is set on a device that is made is part of making it.
    const isNew = "ifindex" in change && made.has(nameOf(change.ifindex));
    if (isNew) return [];
    switch (change.kind) {
      case "link":
        return judgeLink(change, { gone, made });
      case "address":
        return made.has(nameOf(change.address.ifindex)) ? [] : [judgeAddress(change, nameOf)];
      case "checksum":
        return made.has(change.name) ? [] : [judgeChecksum(change)];
      case "traffic":
        return [judgeTraffic(change, nameOf)];
      case "wireguard":
        return [judgeKey(change, nameOf)];
      case "wireguardPeer":
        return [judgePeer(change, before.get(change.ifindex), nameOf)];
      default:
        return [];
    }
  });
}

type Of<K extends KernelChange["kind"]> = Extract<KernelChange, { kind: K }>;
type NameOf = (ifindex: number) => string;

function judgeLink(
  change: Of<"link">,
  {
    gone,
    made,
  }: { readonly gone: ReadonlyMap<string, KernelLink>; readonly made: ReadonlySet<string> },
): Finding[] {
  const { name } = change.link;
  const what = `device ${name}`;
  if (change.op === "set") return judgeSettings(change.link, change.change);
  if (change.op === "remove") {
    if (made.has(name)) return [];
    const why = "nothing in the datastore asks for it: what goes through it now would not any more";
    return [{ change: "removed", what, interrupts: true, why }];
  }
  const old = gone.get(name);
  if (old === undefined) {
    return [{ change: "added", what, interrupts: false, why: "it is not there now" }];
  }
  const why = `it is made anew, as it cannot be changed: ${settings(old)} would be ${settings(change.link)}; what goes through it is lost meanwhile`;
  return [{ change: "replaced", what, interrupts: true, why }];
}

function settings({ type = "", vxlan }: KernelLink): string {
  if (vxlan === undefined) return type;
  const { vni, port, local = "none", learning } = vxlan;
  return `vxlan id ${vni} port ${port} local ${local}${learning ? " learning" : ""}`;
}

function judgeSettings(link: KernelLink, { mac, mtu, up, name }: LinkChange): Finding[] {
  const findings: Finding[] = [];
  const replaced = (what: string, interrupts: boolean, why: string) =>
    findings.push({ change: "replaced", what: `${what} of ${link.name}`, interrupts, why });
  if (mac !== undefined) {
    const why = `it has ${link.mac ?? "none"}, the datastore says ${mac}: other nodes send to the latter`;
    replaced("MAC address", true, why);
  }
  if (mtu !== undefined) {
    const isLess = mtu < link.mtu;
    replaced(
      `MTU ${link.mtu} to ${mtu}`,
      isLess,
      isLess ? "longer packets that pass now would not" : "all packets that pass now do",
    );
  }
  if (up === true) replaced("state down to up", false, "nothing goes through it now");
  if (up === false)
    replaced("state up to down", true, "what goes through it now would not any more");
  if (name !== undefined) replaced("name", true, "what names it would not find it any more");
  return findings;
}

function judgeAddress({ op, address }: Of<"address">, nameOf: NameOf): Finding {
  const what = `address ${address.address}/${address.length} of ${nameOf(address.ifindex)}`;
  if (op === "set") return { change: "added", what, interrupts: false, why: "it is not there now" };
  const why =
    "the datastore gives the device another: connections of the host that use it would end";
  return { change: "removed", what, interrupts: true, why };
}

function judgeChecksum({ name }: Of<"checksum">): Finding {
  const why = "this kernel gets checksums wrong that it leaves to the card; no packet is lost";
  return { change: "replaced", what: `checksum offload of ${name}`, interrupts: false, why };
}

function judgeTraffic({ ifindex, op, place }: Of<"traffic">, nameOf: NameOf): Finding {
  return {
    change: op === "remove" ? "removed" : "replaced",
    what: `bandwidth limit at the ${place} of ${nameOf(ifindex)}`,
    interrupts: false,
    why: "packets pass, sooner or later than now",
  };
}

function judgeKey({ ifindex, change }: Of<"wireguard">, nameOf: NameOf): Finding {
  const what = change === "key" ? "private key" : "port or mark";
  return {
    change: "replaced",
    what: `${what} of ${nameOf(ifindex)}`,
    interrupts: true,
    why: "tunnels to other nodes rest until those know",
  };
}

function judgePeer(
  { ifindex, op, peer }: Of<"wireguardPeer">,
  device: WireguardDevice | undefined,
  nameOf: NameOf,
): Finding {
  const { publicKey, endpoint, allowed } = peer;
  const what = `peer ${endpoint?.address ?? publicKey} of ${nameOf(ifindex)}`;
  const old = device?.peers.find((one) => one.publicKey === publicKey);
  if (op === "remove") {
    const why = `no node has its key: packets to ${allowed.join(", ")} are encrypted for it now`;
    return { change: "removed", what, interrupts: true, why };
  }
  if (old === undefined)
    return { change: "added", what, interrupts: false, why: "it is not there now" };
  const lost = old.allowed.filter((prefix) => !allowed.includes(prefix));
  const moved =
    old.endpoint?.address !== endpoint?.address || old.endpoint?.port !== endpoint?.port;
  const why = moved
    ? "it is elsewhere: packets would go there"
    : lost.length > 0
      ? `${lost.join(", ")} would not go through it any more`
      : "it has more prefixes or another keepalive; packets go as before";
  return { change: "replaced", what, interrupts: moved || lost.length > 0, why };
}
