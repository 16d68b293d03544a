import type { FelixConfig } from "../config/felix-config.ts";

/** What the host must do so that packets pass between pods (facts 4.8): path under /proc/sys, and value. */
export function hostSysctls({
  ipForwarding,
  ipv6Support,
}: Pick<FelixConfig, "ipForwarding" | "ipv6Support">): [path: readonly string[], value: string][] {
  if (!ipForwarding) return [];
  return [
    [["net", "ipv4", "ip_forward"], "1"],
    ...(ipv6Support
      ? ([[["net", "ipv6", "conf", "all", "forwarding"], "1"]] as [readonly string[], string][])
      : []),
  ];
}
