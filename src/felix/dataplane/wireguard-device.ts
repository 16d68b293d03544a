import type { Kernel, WireguardPeer } from "../../kernel/kernel.ts";
import { isErrno } from "../../kernel/netlink/netlink-error.ts";
import type { SyncedTable } from "../../kernel/synced-table.ts";
import { setThreaded } from "../../kernel/sysctl.ts";
import { isWireguardKey } from "../../kernel/wireguard/wireguard-key.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import { Secret } from "../../lib/secret.ts";
import { readSecretFile } from "../../lib/secret-file.ts";
import type { WireguardConfig } from "../config/wireguard-config.ts";
import { peerTable } from "./wireguard-tables.ts";

/** ENOTSUP of a kernel without WireGuard: it knows no such type of device. */
const EOPNOTSUPP = 95;
const keyTextBytes = 44;

interface Known {
  readonly ifindex: number;
  readonly publicKey: string;
  readonly peers: SyncedTable<string, WireguardPeer>;
}

/** What is WireGuard's own of a device: key, port, mark, peers and threads. */
export class WireguardDevice {
  readonly #name: string;
  readonly #listenPort: number;
  readonly #config: WireguardConfig;
  readonly #kernel: Kernel;
  readonly #log: Logger;
  #known: Known | undefined;
  #mustLook = true;
  #isSupported = true;
  /** Index of the device that has threads. */
  #threaded: number | undefined;

  constructor(
    family: IpFamily,
    of: { readonly config: WireguardConfig; readonly kernel: Kernel; readonly log: Logger },
  ) {
    this.#config = of.config;
    this.#kernel = of.kernel;
    this.#log = of.log;
    this.#name = of.config.device[family];
    this.#listenPort = of.config.port[family];
  }

  get publicKey(): string | undefined {
    return this.#known?.publicKey;
  }

  /** Undefined for another device than the one that has its key. */
  peersOf(ifindex: number | undefined): SyncedTable<string, WireguardPeer> | undefined {
    return this.#known?.ifindex === ifindex ? this.#known?.peers : undefined;
  }

  /** What there is, is asked for again. */
  resync(): void {
    this.#mustLook = true;
    this.#isSupported = true;
    this.#known?.peers.resync();
  }

  /** @returns false where the kernel has no WireGuard: packets then go as they would without. */
  async create(mtu: number): Promise<boolean> {
    if (!this.#isSupported) return false;
    try {
      await this.#kernel.links.addWireguard(this.#name, mtu);
      return true;
    } catch (error) {
      if (!isErrno(error, EOPNOTSUPP)) throw error;
      this.#isSupported = false;
      this.#known = undefined;
      const device = this.#name;
      this.#log.error(
        { device },
        "WireGuard is enabled, but this kernel has none: nothing is encrypted",
      );
      return false;
    }
  }

  /**
   * Key, port and mark, of a device that is new to us or wants a look.
   *
   * @returns whether the key is another than before.
   */
  async applyKey(ifindex: number): Promise<boolean> {
    if (this.#known?.ifindex === ifindex && !this.#mustLook) return false;
    // Before the look, not after: a resync asked for while it goes on must not be forgotten.
    this.#mustLook = false;
    try {
      return await this.#lookAt(ifindex);
    } catch (error) {
      this.#mustLook = true;
      throw error;
    }
  }

  async #lookAt(ifindex: number): Promise<boolean> {
    const { wireguard } = this.#kernel;
    let device = await wireguard.get(ifindex);
    if (device?.publicKey === undefined) {
      await wireguard.renewKey(ifindex);
      device = await wireguard.get(ifindex);
    }
    const { mark } = this.#config;
    if (device?.listenPort !== this.#listenPort || device.mark !== mark) {
      await wireguard.set(ifindex, { listenPort: this.#listenPort, mark });
    }
    if (device?.publicKey === undefined) throw new Error(`${this.#name} took no private key`);
    const { publicKey } = device;
    const before = this.#known;
    const peers = this.peersOf(ifindex) ?? peerTable(this.#kernel, ifindex);
    this.#known = { ifindex, publicKey, peers };
    if (before?.publicKey === publicKey) return false;
    this.#log.info({ device: this.#name, publicKey }, "WireGuard device");
    return true;
  }

  /** Once a device, as soon as there is a peer: before, the kernel has no thread to set. */
  applyThreading(): void {
    const ifindex = this.#known?.ifindex;
    if (!this.#config.threading || this.#threaded === ifindex) return;
    this.#threaded = ifindex;
    try {
      setThreaded(this.#name);
    } catch (error) {
      const reason = errorMessage(error);
      this.#log.warn({ reason }, "wireguardThreadingEnabled has no effect");
    }
  }
}

/** @throws {Error} when there is none: then no peer is changed, and no new one made. */
export function readPresharedKey(file: string): Secret {
  const key = readSecretFile(file, keyTextBytes);
  if (!isWireguardKey(key)) throw new Error(`${file} holds no key of WireGuard`);
  return new Secret(key);
}
