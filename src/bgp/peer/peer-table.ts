import type { IpAddr } from "../../lib/ip-addr.ts";
import type { PeerShell } from "./peer-shell.ts";
import type { Connection } from "./transport.ts";

/** The peers by name, and by the address that their connections come from. */
export class PeerTable {
  readonly #byName = new Map<string, PeerShell>();
  readonly #byAddress = new Map<IpAddr, PeerShell[]>();

  get(name: string): PeerShell | undefined {
    return this.#byName.get(name);
  }

  all(): readonly PeerShell[] {
    return [...this.#byName.values()];
  }

  add(shell: PeerShell): void {
    const { name, address } = shell.config;
    this.#byName.set(name, shell);
    this.#byAddress.set(address, [...(this.#byAddress.get(address) ?? []), shell]);
  }

  remove(shell: PeerShell): void {
    const { name, address } = shell.config;
    this.#byName.delete(name);
    const rest = this.#byAddress.get(address)?.filter((each) => each !== shell) ?? [];
    if (rest.length > 0) this.#byAddress.set(address, rest);
    else this.#byAddress.delete(address);
  }

  /** By remote address and interface; of several that wait, the one that has our end's address. */
  peerOf({ remoteAddress, localAddress, zone }: Connection): PeerShell | undefined {
    const candidates = this.#byAddress
      .get(remoteAddress)
      ?.filter(({ config }) => config.zone === undefined || config.zone === zone)
      .filter(({ config }) => config.connectOnly !== true);
    return (
      candidates?.find(({ config }) => config.localAddress === localAddress) ?? candidates?.[0]
    );
  }
}
