import { existsSync } from "node:fs";
import type { KernelLink } from "../../kernel/kernel.ts";
import { readSysctl, writeSysctl } from "../../kernel/sysctl.ts";

/** True when this kernel was not told to do without IPv6. */
export function kernelHasIpv6(): boolean {
  return existsSync("/proc/sys/net/ipv6");
}

/**
 * Settings of pods' interfaces: written once an interface, and again when one of its name was made anew.
 */
export class EndpointSysctls {
  readonly #ipv6: boolean;
  readonly #write: typeof writeSysctl;
  readonly #rpFilter = readSysctl(["net", "ipv4", "conf", "default", "rp_filter"]);
  /** By name: the link that was configured, and its reverse-path filter. */
  readonly #configured = new Map<string, { readonly ifindex: number; readonly rpFilter: string }>();

  constructor(options: { readonly ipv6: boolean; readonly write?: typeof writeSysctl }) {
    this.#ipv6 = options.ipv6;
    this.#write = options.write ?? writeSysctl;
  }

  /** Everything is written again by the next apply. */
  resync(): void {
    this.#configured.clear();
  }

  forget({ name, ifindex }: KernelLink): void {
    if (this.#configured.get(name)?.ifindex === ifindex) this.#configured.delete(name);
  }

  /**
   * `maySpoof`: the pod may send from addresses that are not its own; our rules look at them instead
   * of the kernel's filter.
   *
   * @returns what failed; it is tried again by the next apply.
   */
  apply(links: Iterable<{ readonly link: KernelLink; readonly maySpoof: boolean }>): unknown[] {
    const errors: unknown[] = [];
    for (const { link, maySpoof } of links) {
      const { name, ifindex } = link;
      const rpFilter = maySpoof ? "0" : this.#rpFilter;
      const known = this.#configured.get(name);
      if (known?.ifindex === ifindex && known.rpFilter === rpFilter) continue;
      try {
        const options = { rpFilter, ipv6: this.#ipv6 };
        for (const [path, value] of interfaceSysctls(name, options)) this.#write(path, value);
        this.#configured.set(name, { ifindex, rpFilter });
      } catch (error) {
        // An interface that is gone again needs nothing: its event is on the way.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") errors.push(error);
      }
    }
    return errors;
  }
}

/** Facts 4.8: path under /proc/sys, and value. `rpFilter` is the one of net.ipv4.conf.default. */
export function interfaceSysctls(
  name: string,
  options: { readonly rpFilter: string; readonly ipv6: boolean },
): [path: readonly string[], value: string][] {
  const v4 = (key: string) => ["net", "ipv4", "conf", name, key];
  const v6 = (key: string) => ["net", "ipv6", "conf", name, key];
  return [
    [v4("route_localnet"), "1"],
    [["net", "ipv4", "neigh", name, "proxy_delay"], "0"],
    [v4("proxy_arp"), "1"],
    [v4("forwarding"), "1"],
    [v4("rp_filter"), options.rpFilter],
    ...(options.ipv6
      ? ([
          [v6("accept_ra"), "0"],
          [v6("proxy_ndp"), "1"],
          [v6("forwarding"), "1"],
        ] as [readonly string[], string][])
      : []),
  ];
}
