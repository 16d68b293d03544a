import { Net } from "./net.ts";

/**
 * The text of one rule, as tortie renders it, to what the kernel would do. Only the matches and targets
 * that we render are known: anything else is an error, never a pass.
 */

/** A packet at one hook. */
export interface HookPacket {
  readonly source: string;
  readonly destination: string;
  /** IANA number. */
  readonly protocol: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmp?: { readonly type: number; readonly code: number };
  readonly in?: string;
  readonly out?: string;
  /** Of the connection: it is new unless said. */
  readonly state?: "NEW" | "ESTABLISHED" | "RELATED" | "INVALID";
  readonly dnat?: boolean;
  /** The way back to its source leads through another interface. */
  readonly spoofed?: boolean;
  readonly localSource?: boolean;
  readonly localDestination?: boolean;
  /** More came in this time than a limit lets through. */
  readonly overLimit?: boolean;
  /** Of those that a limit of connections counts, this one included. */
  readonly connections?: number;
}

/** Membership of a kernel set. */
export interface Sets {
  has(set: string, address: string, port: string | undefined): boolean;
}

export interface At {
  readonly packet: HookPacket;
  readonly mark: number;
  readonly sets: Sets;
}

export type Test = (at: At) => boolean;

export type Target =
  | { readonly kind: "accept" | "drop" | "return" | "next" }
  | { readonly kind: "jump" | "goto"; readonly chain: string }
  | { readonly kind: "mark"; readonly value: number; readonly mask: number };

export interface ParsedRule {
  readonly text: string;
  readonly tests: readonly Test[];
  readonly target: Target;
}

const protocols: Readonly<Record<string, number>> = {
  icmp: 1,
  ipip: 4,
  tcp: 6,
  udp: 17,
  dccp: 33,
  icmpv6: 58,
  sctp: 132,
  udplite: 136,
};
const withPorts = new Set([6, 17, 33, 132, 136]);

/** @throws {Error} for an option, module or target that is not known. */
export function parseRule(text: string): ParsedRule {
  const words = new Words(text);
  const tests: Test[] = [];
  let target: Target = { kind: "next" };
  while (!words.done) {
    const negated = words.take("!");
    const option = words.next();
    if (option === "--jump" || option === "-j" || option === "--goto") {
      if (negated) throw new Error(`Cannot negate ${option}: ${text}`);
      target = parseTarget(option, words);
      continue;
    }
    const test = parseMatch(option, words);
    if (test === undefined) continue;
    tests.push(negated ? (at) => !test(at) : test);
  }
  checkProtocol(text);
  return { text, tests, target };
}

/** Undefined for what matches every packet. */
function parseMatch(option: string, words: Words): Test | undefined {
  switch (option) {
    case "-m":
      words.module(words.next());
      return undefined;
    case "--comment":
      words.next();
      return undefined;
    case "--mark": {
      const [value, mask] = masked(words.next());
      return ({ mark }) => (mark & mask) >>> 0 === value;
    }
    case "--in-interface":
      return interfaceTest("in", words.next());
    case "--out-interface":
      return interfaceTest("out", words.next());
    case "-p": {
      const protocol = protocolOf(words.next());
      return ({ packet }) => packet.protocol === protocol;
    }
    case "--source":
    case "--destination": {
      const side = option === "--source" ? "source" : "destination";
      const net = new Net(words.next());
      return ({ packet }) => net.has(packet[side]);
    }
    case "--match-set":
      return setTest(words.next(), words.next());
    case "--source-ports":
      return portTest("sourcePort", words.next());
    case "--destination-ports":
    case "--dport":
      return portTest("destinationPort", words.next());
    case "--ctstate":
      return stateTest(words.next());
    case "--icmp-type":
    case "--icmpv6-type":
      return icmpTest(words.next());
    case "--src-type":
      words.expect("LOCAL");
      return ({ packet }) => packet.localSource === true;
    case "--dst-type":
      words.expect("LOCAL");
      return ({ packet }) => packet.localDestination === true;
    case "--limit":
      words.next();
      words.expect("--limit-burst");
      words.next();
      return ({ packet }) => packet.overLimit !== true;
    case "--tcp-flags":
      words.expect("FIN,SYN,RST,ACK");
      words.expect("SYN");
      return ({ packet }) => (packet.state ?? "NEW") === "NEW";
    case "--connlimit-above": {
      const most = Number(words.next());
      words.expect("--connlimit-mask");
      words.expect("0");
      return ({ packet }) => (packet.connections ?? 1) > most;
    }
    case "--invert":
      words.expect("--validmark");
      return ({ packet }) => packet.spoofed === true;
    default:
      throw new Error(`Cannot interpret "${option}": ${words.text}`);
  }
}

function parseTarget(option: string, words: Words): Target {
  const name = words.next();
  if (option === "--goto") return { kind: "goto", chain: name };
  switch (name) {
    case "ACCEPT":
      return { kind: "accept" };
    case "DROP":
      return { kind: "drop" };
    case "REJECT":
      if (words.take("--reject-with")) words.expect("tcp-reset");
      return { kind: "drop" };
    case "NFLOG":
      for (const option of ["--nflog-group", "--nflog-prefix", "--nflog-size"]) {
        words.expect(option);
        words.next();
      }
      return { kind: "next" };
    case "DSCP":
      words.expect("--set-dscp");
      words.next();
      return { kind: "next" };
    case "RETURN":
      return { kind: "return" };
    case "NOTRACK":
      return { kind: "next" };
    case "LOG":
      words.expect("--log-prefix");
      words.next();
      words.expect("--log-level");
      words.next();
      return { kind: "next" };
    case "MARK": {
      words.expect("--set-mark");
      const [value, mask] = masked(words.next());
      return { kind: "mark", value, mask };
    }
    default:
      if (!name.startsWith("cali-"))
        throw new Error(`Cannot interpret target ${name}: ${words.text}`);
      return { kind: "jump", chain: name };
  }
}

const modules = new Set(
  "comment mark set multiport conntrack rpfilter addrtype icmp icmp6 limit tcp connlimit".split(
    " ",
  ),
);

/** iptables refuses ports and ICMP types without their protocol, and an option twice, and so do we. */
function checkProtocol(text: string): void {
  // Comments are no options, nor is the end of a hash: "cali40s:...-p".
  const plain = ` ${text.replaceAll(/"[^"]*"/g, '""')} `;
  for (const option of ["-p", "--source", "--destination"]) {
    if (plain.split(` ${option} `).length > 2)
      throw new Error(`Cannot have two ${option}: ${text}`);
  }
  const protocol = /(?<! !) -p (\S+)/.exec(plain)?.[1];
  const number = protocol === undefined ? -1 : protocolOf(protocol);
  if (/ -m multiport | --dport /.test(plain) && !withPorts.has(number)) {
    throw new Error(`Cannot match ports without a protocol that has them: ${text}`);
  }
  if (/ -m tcp /.test(plain) && number !== 6) throw new Error(`TCP flags without -p tcp: ${text}`);
  if (/ -m icmp /.test(plain) && number !== 1)
    throw new Error(`ICMP type without -p icmp: ${text}`);
  if (/ -m icmp6 /.test(plain) && number !== 58) throw new Error(`ICMPv6 type without it: ${text}`);
}

function interfaceTest(direction: "in" | "out", name: string): Test {
  if (!name.endsWith("+")) return ({ packet }) => packet[direction] === name;
  const prefix = name.slice(0, -1);
  return ({ packet }) => packet[direction]?.startsWith(prefix) === true;
}

function setTest(name: string, fields: string): Test {
  const [side, second] = fields.split(",");
  const end = side === "src" ? "source" : side === "dst" ? "destination" : undefined;
  if (end === undefined || (second !== undefined && second !== side)) {
    throw new Error(`Cannot interpret set fields ${fields}`);
  }
  return ({ packet, sets }) => {
    const port = end === "source" ? packet.sourcePort : packet.destinationPort;
    const protocol = Object.entries(protocols).find(([, number]) => number === packet.protocol);
    const element = `${protocol?.[0] ?? packet.protocol}:${port ?? 0}`;
    return sets.has(name, packet[end], second === undefined ? undefined : element);
  };
}

function portTest(side: "sourcePort" | "destinationPort", list: string): Test {
  const ranges = list.split(",").map((item) => item.split(":").map(Number));
  return ({ packet }) => {
    const port = packet[side];
    if (port === undefined || !withPorts.has(packet.protocol)) return false;
    return ranges.some(([first = 0, last = first]) => first <= port && port <= last);
  };
}

function stateTest(list: string): Test {
  const states = list.split(",");
  return ({ packet }) =>
    states.includes(packet.state ?? "NEW") || (states.includes("DNAT") && packet.dnat === true);
}

function icmpTest(text: string): Test {
  const [type, code] = text.split("/").map(Number);
  return ({ packet: { icmp } }) =>
    icmp !== undefined && icmp.type === type && (code === undefined || icmp.code === code);
}

/** Words of a rule, quoted ones without their quotes. */
class Words {
  readonly text: string;
  readonly #words: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.text = text;
    if ((text.split('"').length - 1) % 2 !== 0)
      throw new Error(`Cannot interpret a lone quote: ${text}`);
    this.#words = [...text.matchAll(/"([^"]*)"|[^\s"]+/g)].map(([word, quoted]) => quoted ?? word);
  }

  get done(): boolean {
    return this.#at === this.#words.length;
  }

  next(): string {
    const word = this.#words[this.#at++];
    if (word === undefined) throw new Error(`Cannot interpret what is cut off: ${this.text}`);
    return word;
  }

  take(word: string): boolean {
    if (this.#words[this.#at] !== word) return false;
    this.#at++;
    return true;
  }

  expect(word: string): void {
    if (!this.take(word)) throw new Error(`Cannot interpret without ${word}: ${this.text}`);
  }

  module(name: string): void {
    if (!modules.has(name)) throw new Error(`Cannot interpret module ${name}: ${this.text}`);
  }
}

function masked(text: string): readonly [value: number, mask: number] {
  const [value, mask] = text.split("/").map(Number);
  return [value ?? Number.NaN, mask ?? 0xffffffff];
}

function protocolOf(text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : protocols[text];
  if (number === undefined) throw new Error(`Cannot interpret protocol ${text}`);
  return number;
}
