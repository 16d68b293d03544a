/**
 * Rules of iptables in one form, whoever wrote them: iptables-save orders what it prints, and spells options its own
 * way. Two rules with the same form do the same. What is not understood stays as it is written: then two that do the
 * same may look different, never the other way round.
 */

const longNames: Readonly<Record<string, string>> = {
  "--match": "-m",
  "--jump": "-j",
  "--goto": "-g",
  "--in-interface": "-i",
  "--out-interface": "-o",
  "--source": "-s",
  "--src": "-s",
  "--destination": "-d",
  "--dst": "-d",
  "--protocol": "-p",
  "--source-ports": "--sports",
  "--destination-ports": "--dports",
  "--source-port": "--sport",
  "--destination-port": "--dport",
};

const protocols: Readonly<Record<string, string>> = {
  icmp: "1",
  ipencap: "4",
  ipip: "4",
  tcp: "6",
  udp: "17",
  ipv6: "41",
  icmpv6: "58",
  "ipv6-icmp": "58",
  sctp: "132",
  udplite: "136",
};

/** What iptables adds where nothing was said. */
const defaults: ReadonlySet<string> = new Set([
  "--reject-with icmp-port-unreachable",
  "--reject-with icmp6-port-unreachable",
  "--limit-burst 5",
  "--connlimit-saddr",
]);

/** Modules that do nothing without an option of theirs, and whose options no other module has. */
const toldByOptions: ReadonlySet<string> = new Set([
  ...["addrtype", "comment", "connlimit", "conntrack", "limit", "mark", "multiport", "set"],
  ...["icmp", "icmp6", "sctp", "tcp", "udp", "udplite"],
]);

/** `body`: what follows "-A CHAIN ". */
export function canonicalRule(body: string): string {
  return clausesOf(body)
    .filter((clause) => !isWithoutEffect(clause))
    .map(clauseText)
    .filter((text) => !defaults.has(text))
    .sort()
    .join(" ");
}

/** True for a rule that only tells of a packet: none is treated otherwise for it. */
export function isTelling(body: string): boolean {
  return clausesOf(body).some(
    ([, name, value]) => name === "-j" && (value === "LOG" || value === "NFLOG"),
  );
}

type Clause = readonly [not: boolean, name: string, ...values: string[]];

function clausesOf(body: string): Clause[] {
  const clauses: [boolean, string, ...string[]][] = [];
  let not = false;
  for (const word of body.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? []) {
    if (word === "!") not = true;
    else if (/^--?[a-z]/.test(word)) {
      clauses.push([not, longNames[word] ?? word]);
      not = false;
      // What is quoted may read as anything.
    } else clauses.at(-1)?.push(word.startsWith('"') ? word.slice(1, -1) : word);
  }
  return clauses;
}

/** Comments, and what options that are there tell anyway. */
function isWithoutEffect([, name, value = ""]: Clause): boolean {
  return name === "--comment" || (name === "-m" && toldByOptions.has(value));
}

function clauseText([not, name, ...values]: Clause): string {
  const sign = not ? "! " : "";
  if (name === "--set-mark" || name === "--set-xmark") {
    return `${sign}--set-xmark ${xmark(name, values[0] ?? "")}`;
  }
  const words = values.map((value) => valueText(name, value));
  return `${sign}${[name, ...words].join(" ")}`;
}

/** --set-mark also clears the bits of its value (iptables-extensions(8)). */
function xmark(name: string, value: string): string {
  const [bits = 0, mask = 0xffffffff] = value.split("/").map(Number);
  return `${bits}/${name === "--set-mark" ? (mask | bits) >>> 0 : mask}`;
}

function valueText(name: string, value: string): string {
  switch (name) {
    case "-p":
      return protocols[value] ?? value;
    case "-s":
    case "-d":
      return value.replace(/^([\d.]+)\/32$|^([\da-f:]+)\/128$/, "$1$2");
    case "--mark":
      return value.split("/").map(Number).join("/");
    case "--limit":
      return value.replace("/second", "/sec").replace("/minute", "/min");
    case "--set-dscp":
      return `${Number(value)}`;
    case "--ctstate":
      return value.split(",").sort().join(",");
    default:
      return value;
  }
}
