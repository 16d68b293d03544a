import { routeKey } from "../ip/route-identity.ts";
import type {
  FdbEntry,
  KernelAddress,
  KernelLink,
  KernelNeighbor,
  KernelRoute,
  NewAddress,
  RoutingRule,
  TokenBucket,
  WireguardDevice,
  WireguardPeer,
} from "../kernel.ts";

/** What of a link would change. */
export type LinkChange = Partial<Pick<KernelLink, "up" | "mtu" | "mac" | "name">>;

/** One write to the kernel that did not take place. Links are given by what they were before. */
export type KernelChange =
  | { readonly kind: "route"; readonly op: "set" | "remove"; readonly route: KernelRoute }
  | { readonly kind: "neighbor"; readonly op: "set" | "remove"; readonly neighbor: KernelNeighbor }
  | { readonly kind: "fdb"; readonly op: "set" | "remove"; readonly entry: FdbEntry }
  | { readonly kind: "rule"; readonly op: "set" | "remove"; readonly rule: RoutingRule }
  | { readonly kind: "link"; readonly op: "add" | "remove"; readonly link: KernelLink }
  | {
      readonly kind: "link";
      readonly op: "set";
      readonly link: KernelLink;
      readonly change: LinkChange;
    }
  | { readonly kind: "checksum"; readonly name: string; readonly on: boolean }
  | {
      readonly kind: "address";
      readonly op: "set" | "remove";
      readonly address: Omit<NewAddress | KernelAddress, "scope">;
    }
  | {
      readonly kind: "traffic";
      readonly ifindex: number;
      readonly op: "limit" | "redirect" | "remove";
      readonly place: "root" | "ingress";
      readonly bucket?: TokenBucket;
    }
  | {
      readonly kind: "wireguard";
      readonly ifindex: number;
      /** "key": it gets a new private key. */
      readonly change: Partial<Pick<WireguardDevice, "listenPort" | "mark">> | "key";
    }
  | {
      readonly kind: "wireguardPeer";
      readonly op: "set" | "remove";
      readonly ifindex: number;
      readonly peer: WireguardPeer;
    };

/** The same for two writes of which the later is all that counts. */
export function changeKey(change: KernelChange): string {
  switch (change.kind) {
    case "route":
      return `route ${change.op} ${routeKey(change.route)} ${change.route.protocol}`;
    case "neighbor":
      return `neighbor ${change.neighbor.ifindex} ${change.neighbor.address}`;
    case "fdb":
      return `fdb ${change.entry.ifindex} ${change.entry.mac}`;
    case "rule":
      return `rule ${change.op} ${JSON.stringify(change.rule)}`;
    case "link":
      return `link ${change.op} ${change.link.name}`;
    case "checksum":
      return `checksum ${change.name}`;
    case "address":
      return `address ${change.address.ifindex} ${change.address.address}/${change.address.length}`;
    case "traffic":
      return `traffic ${change.ifindex} ${change.place}`;
    case "wireguard":
      return `wireguard ${change.ifindex} ${change.change === "key" ? "key" : "settings"}`;
    case "wireguardPeer":
      return `peer ${change.ifindex} ${change.peer.publicKey}`;
  }
}
