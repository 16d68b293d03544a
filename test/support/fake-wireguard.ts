import type {
  KernelLink,
  WireguardDevice,
  WireguardDevices,
  WireguardPeer,
} from "../../src/kernel/kernel.ts";
import { systemError } from "../../src/kernel/netlink/netlink-error.ts";

const ENODEV = 19;

/** A key of which all octets are this one. */
export function fakeKey(octet: number): string {
  return Buffer.alloc(32, octet).toString("base64");
}

/** WireGuard's devices in memory. Keys follow one another: `fakeKey(101)`, `fakeKey(102)`. */
export class FakeWireguard implements WireguardDevices {
  readonly #devices = new Map<number, WireguardDevice>();
  readonly #links: ReadonlyMap<number, KernelLink>;
  readonly #refuse: () => void;
  #lastKey = 100;

  /** `refuse` throws when the next change is to fail. */
  constructor(links: ReadonlyMap<number, KernelLink>, refuse: () => void) {
    this.#links = links;
    this.#refuse = refuse;
  }

  async get(ifindex: number): Promise<WireguardDevice> {
    return this.#device(ifindex);
  }

  async set(ifindex: number, change: Partial<WireguardDevice>): Promise<void> {
    this.#refuse();
    this.#devices.set(ifindex, { ...this.#device(ifindex), ...change });
  }

  async renewKey(ifindex: number): Promise<void> {
    this.#lastKey += 1;
    await this.set(ifindex, { publicKey: fakeKey(this.#lastKey) });
  }

  /** An address goes from the peer that has it to the one that is set later. */
  async setPeers(ifindex: number, peers: readonly WireguardPeer[]): Promise<[]> {
    for (const peer of peers) {
      const taken = new Set(peer.allowed);
      const others = this.#device(ifindex)
        .peers.filter(({ publicKey }) => publicKey !== peer.publicKey)
        .map((other) => ({ ...other, allowed: other.allowed.filter((one) => !taken.has(one)) }));
      await this.set(ifindex, { peers: [...others, peer] });
    }
    return [];
  }

  async removePeers(ifindex: number, peers: readonly WireguardPeer[]): Promise<[]> {
    const gone = new Set(peers.map(({ publicKey }) => publicKey));
    const left = this.#device(ifindex).peers.filter(({ publicKey }) => !gone.has(publicKey));
    await this.set(ifindex, { peers: left });
    return [];
  }

  #device(ifindex: number): WireguardDevice {
    if (this.#links.get(ifindex)?.type !== "wireguard") {
      throw systemError(`Cannot read WireGuard device ${ifindex}`, ENODEV);
    }
    return this.#devices.get(ifindex) ?? { ifindex, listenPort: 0, mark: 0, peers: [] };
  }
}
