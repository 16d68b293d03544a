/** One wrong operator in the text that goes to iptables: a transaction of one table, which begins with its name. */
export interface WrongRule {
  readonly name: string;
  readonly change: (text: string) => string;
}

const inTable = (table: string, change: WrongRule["change"]) => (text: string) =>
  text.startsWith(`*${table}\n`) ? change(text) : text;
const passForAccept: WrongRule["change"] = (text) =>
  text.replaceAll("0x10000/0x10000", "0x20000/0x20000");

export const wrongRules: readonly WrongRule[] = [
  {
    name: "a port match",
    change: (text) => text.replaceAll("-m multiport --d", "-m multiport ! --d"),
  },
  { name: "a negated set", change: (text) => text.replaceAll("! --match-set", "--match-set") },
  { name: "the side of a net", change: (text) => text.replaceAll("--source ", "--destination ") },
  {
    name: "pass for accept",
    change: (text) => text.replaceAll("0x20000/0x20000", "0x10000/0x10000"),
  },
  { name: "the end of a tier", change: (text) => text.replaceAll(/.*End of tier.*\n/g, "") },
  {
    name: "a protocol of a ClusterNetworkPolicy",
    change: (text) => text.replaceAll(/^(-A cali-p[io]-kcnp\S+ .*)-p tcp/gm, "$1-p udp"),
  },
  {
    name: "an untracked policy",
    change: inTable("raw", passForAccept),
  },
  {
    name: "a policy before DNAT",
    change: inTable("mangle", passForAccept),
  },
  {
    name: "the end of a tier of what is forwarded",
    change: (text) => text.replaceAll(/^-A cali-[ft]hfw-.*End of tier.*\n/gm, ""),
  },
  {
    name: "the host endpoint of all interfaces",
    change: (text) => text.replaceAll(/^-A cali-from-hep-forward (?!.*--in-interface).*\n/gm, ""),
  },
  {
    name: "the failsafe ports",
    change: (text) => text.replaceAll(/^-A cali-fh-.*--jump cali-failsafe-in\n/gm, ""),
  },
];
