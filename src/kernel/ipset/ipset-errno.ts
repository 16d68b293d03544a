import { errnoText } from "../netlink/netlink-error.ts";

/** Numbers that mean something to us: errno.h below 4096, linux/netfilter/ipset/ip_set.h above. */
export const ipSetErrno = { missing: 2, busy: 4100, typeMismatch: 4102 } as const;

const words: Readonly<Record<number, string>> = {
  2: "no such set",
  4097: "the kernel speaks another protocol",
  4098: "the kernel knows no such type of set",
  4099: "there are too many sets",
  4100: "a rule or a list uses the set",
  4101: "there is a set of the new name",
  4102: "the sets are of different types",
  4103: "the member is there or is not there",
  4104: "the prefix length does not fit the family",
  4106: "the family does not fit the type",
  4109: "the address is not IPv4",
  4110: "the address is not IPv6",
  4352: "the set is full",
};

/** Why the kernel refused a command on an IP set. */
export function ipSetErrnoText(errno: number): string {
  return words[errno] ?? errnoText(errno);
}
