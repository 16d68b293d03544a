import type { BGPConfigurationSpec } from "../../api/resources/bgp.ts";
import { parsePrefix } from "../../lib/prefix.ts";
import type { Advertisement } from "../policy/export-attributes.ts";
import type { Community } from "../policy/peer-policy.ts";
import { PrefixList } from "../rib/packed-prefix.ts";

/**
 * The prefixAdvertisements of a node: communities by name or value (facts 5.2).
 *
 * @throws {SyntaxError} that names the value that cannot be read.
 */
export function advertisementsOf(
  configuration: Pick<BGPConfigurationSpec, "communities" | "prefixAdvertisements">,
): Advertisement[] {
  const named = new Map(
    (configuration.communities ?? []).map(({ name, value }) => [name, value] as const),
  );
  return (configuration.prefixAdvertisements ?? []).flatMap(({ cidr, communities = [] }) => {
    if (cidr === undefined) return [];
    const values = communities.map((each) => communityOf(named.get(each) ?? each));
    return [
      {
        prefixes: new PrefixList([parsePrefix(cidr)]),
        communities: values.filter((value) => typeof value === "number"),
        largeCommunities: values.filter((value) => typeof value !== "number"),
      },
    ];
  });
}

/**
 * "aa:nn" of 16 bits each, or "aa:nn:mm" of 32 bits each.
 *
 * @throws {SyntaxError}
 */
export function communityOf(text: string): Community {
  const parts = text
    .split(":")
    .map((part) => (/^\d{1,10}$/.test(part) ? Number(part) : Number.NaN));
  const [a = 0, b = 0, c = 0] = parts;
  const most = parts.length === 3 ? 0xffffffff : 0xffff;
  if ((parts.length !== 2 && parts.length !== 3) || !parts.every((part) => part <= most)) {
    throw new SyntaxError(
      `Cannot parse community "${text}": it must be as in 64512:1 or 64512:1:2`,
    );
  }
  return parts.length === 3 ? [a, b, c] : a * 0x10000 + b;
}
