import type { FelixConfig } from "../config/felix-config.ts";

/** What the host must do so that packets pass between pods (facts 4.8): path under /proc/sys, and value. */
export function hostSysctls({
  ipForwarding,
  ipv6Support,
  wireguard,
}: Pick<FelixConfig, "ipForwarding" | "ipv6Support" | "wireguard">): Sysctl[] {
  const sysctls: Sysctl[] = [];
  if (ipForwarding) sysctls.push([["net", "ipv4", "ip_forward"], "1"]);
  if (ipForwarding && ipv6Support) {
    sysctls.push([["net", "ipv6", "conf", "all", "forwarding"], "1"]);
  }
  // The reverse path of a marked packet is looked up with its mark (facts 4.21).
  if (wireguard.enabled[4] && wireguard.hostEncryption) {
    sysctls.push([["net", "ipv4", "conf", "all", "src_valid_mark"], "1"]);
  }
  return sysctls;
}

type Sysctl = [path: readonly string[], value: string];
