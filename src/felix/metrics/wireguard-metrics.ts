import type { Kernel, WireguardDevice } from "../../kernel/kernel.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { Metric } from "../../lib/metrics.ts";

/** A device as `wireguardMetrics` shows it. */
export type NamedDevice = Pick<WireguardDevice, "publicKey" | "listenPort" | "peers"> & {
  readonly name: string;
};

/** This node's devices of WireGuard that are there. One that cannot be read is only told of in the log. */
export async function wireguardDevices(
  names: readonly string[],
  { kernel, log }: { readonly kernel: Pick<Kernel, "links" | "wireguard">; readonly log: Logger },
): Promise<NamedDevice[]> {
  const devices: NamedDevice[] = [];
  for (const name of names) {
    try {
      const link = await kernel.links.get(name);
      if (link?.type !== "wireguard") continue;
      const device = await kernel.wireguard.get(link.ifindex);
      if (device !== undefined) devices.push({ ...device, name });
    } catch (error) {
      log.warn({ device: name, reason: errorMessage(error) }, "no metrics of WireGuard");
    }
  }
  return devices;
}

/** What felix tells of each peer, by Calico's names and labels. */
export function wireguardMetrics(hostname: string, devices: readonly NamedDevice[]): Metric[] {
  const ofPeers = (value: (peer: NamedDevice["peers"][number]) => number) =>
    devices.flatMap(({ publicKey, peers }) =>
      peers.map((peer) => ({
        labels: {
          hostname,
          public_key: publicKey ?? "",
          peer_key: peer.publicKey,
          peer_endpoint: endpointText(peer),
        },
        value: value(peer),
      })),
    );
  return [
    {
      name: "wireguard_meta",
      type: "gauge",
      help: "WireGuard devices of this node, as labels.",
      samples: devices.map(({ name, publicKey, listenPort }) => ({
        labels: {
          hostname,
          public_key: publicKey ?? "",
          iface: name,
          listen_port: `${listenPort}`,
        },
        value: 1,
      })),
    },
    {
      name: "wireguard_latest_handshake_seconds",
      type: "gauge",
      help: "When the last handshake with a peer was, in seconds since 1970; 0: never.",
      samples: ofPeers(({ lastHandshake = 0 }) => lastHandshake),
    },
    {
      name: "wireguard_bytes_rcvd",
      type: "counter",
      help: "Octets received from a peer.",
      samples: ofPeers(({ receivedBytes = 0 }) => receivedBytes),
    },
    {
      name: "wireguard_bytes_sent",
      type: "counter",
      help: "Octets sent to a peer.",
      samples: ofPeers(({ sentBytes = 0 }) => sentBytes),
    },
  ];
}

function endpointText({ endpoint }: NamedDevice["peers"][number]): string {
  if (endpoint === undefined) return "";
  const { address, port } = endpoint;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
