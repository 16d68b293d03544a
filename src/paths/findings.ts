import {
  checksumAdvice,
  deviceAdvice,
  filterAdvice,
  isTunnel,
  mtuAdvice,
  outerPackets,
  overhead,
  speedAdvice,
} from "./advice.ts";
import type {
  Carrier,
  Path,
  PathObservation,
  PeerObservation,
  SizeLimit,
  TunnelState,
} from "./path.ts";

/** What is wrong between two nodes, and what to change. */
export interface Finding {
  readonly code: FindingCode;
  /** A hint may be nothing; all else is wrong. */
  readonly severity: "problem" | "hint";
  readonly from: string;
  readonly to: string;
  /** Absent: of the node as a whole. */
  readonly path?: Carrier;
  readonly text: string;
  readonly advice: string;
}

export type FindingCode =
  | "not-answering"
  | "refused"
  | "no-route"
  | "cannot-send"
  | "checksum"
  | "device"
  | "filtered"
  | "mtu"
  | "loss"
  | "slow";

/** What findings are made of: the two nodes, and one path between them. */
interface Case {
  readonly self: string;
  readonly peer: PeerObservation;
  readonly path: Path;
  readonly seen: PathObservation;
  /** Of the same family. */
  readonly underlay: PathObservation | undefined;
  /** Of the probes. */
  readonly port: number;
}

type Words = Pick<Finding, "text" | "advice"> & Partial<Pick<Finding, "severity" | "from" | "to">>;

/** A tunnel this many times slower than its underlay, and slower than this, is a hint (#11435). */
const slowRatio = 10;
export const slowMegabits = 300;

/**
 * What is said of one path: the first row that fits, because what comes below follows from what is
 * above.
 */
const rows: readonly (readonly [code: FindingCode, words: (of: Case) => Words | undefined])[] = [
  ["no-route", noRoute],
  ["cannot-send", cannotSend],
  ["checksum", wrongChecksum],
  ["device", wrongDevice],
  ["filtered", filtered],
  ["mtu", smallMtu],
  ["loss", loss],
  ["slow", slow],
];

/** From what was seen of a peer, by probes of this port, to what is said of it. Pure. */
export function findingsOf(self: string, peer: PeerObservation, port: number): Finding[] {
  const whole = ofPeer(self, peer, port);
  const isMute = whole !== undefined && peer.paths.every(({ answered }) => answered === 0);
  const paths = peer.paths.flatMap((seen) => {
    const { path } = seen;
    // The underlay says nothing where the node does not answer: that is said already.
    if (whole !== undefined && path.carrier === "underlay") return [];
    const underlay = peer.paths.find(
      (other) => other.path.carrier === "underlay" && other.path.family === path.family,
    );
    const one = { self, peer, path, seen, underlay, port };
    for (const [code, wordsOf] of rows) {
      const words = wordsOf(one);
      if (words === undefined) continue;
      // A node that is down answers through no tunnel: nothing says that somebody filters it.
      if (isMute && code === "filtered") return [];
      const ends = { from: self, to: peer.node, severity: "problem" as const };
      return [{ code, path: path.carrier, ...ends, ...words }];
    }
    return [];
  });
  return [...(whole === undefined ? [] : [whole]), ...paths];
}

function ofPeer(
  self: string,
  { node, asked, paths }: PeerObservation,
  port: number,
): Finding | undefined {
  const ends = { severity: "problem" as const, from: self, to: node };
  if (asked === "answered") return undefined;
  if (asked === "refused") {
    return {
      ...ends,
      code: "refused",
      text: `${node} is up, but nobody answers path checks there`,
      advice: `start tortie felix on ${node}, with pathChecks Enabled and pathCheckPort ${port}; if it runs, a firewall rejects UDP ${port}`,
    };
  }
  const others = paths.filter(({ answered }) => answered > 0).map(({ path }) => path.carrier);
  const underlay = paths.find(({ path }) => path.carrier === "underlay");
  const address = underlay === undefined ? "" : ` (${underlay.path.destination})`;
  const error = underlay?.error === undefined ? "" : `; this node's kernel says ${underlay.error}`;
  if (others.length > 0) {
    return {
      ...ends,
      code: "not-answering",
      text: `${node}${address} answers through ${others.join(", ")}, but not at its own address${error}`,
      advice: `let UDP and TCP ${port} (pathCheckPort) pass between the nodes' own addresses`,
    };
  }
  return {
    ...ends,
    code: "not-answering",
    text: `${node}${address} does not answer from ${self}${error}`,
    advice: `see whether ${node} is up and can be pinged; if so, let UDP ${port} (pathCheckPort) pass between the nodes`,
  };
}

function noRoute({ path, peer }: Case): Words | undefined {
  if (path.device !== undefined) return undefined;
  return {
    text: `there is no route to ${peer.node}'s tunnel address ${path.destination}`,
    advice: "see felix's log on this node, and with `tortie node status` whether BGP is up",
  };
}

function cannotSend({ self, seen, path }: Case): Words | undefined {
  const { error } = seen;
  if (error === undefined || seen.answered > 0 || error === "ECONNREFUSED") return undefined;
  const firewall = error === "EPERM";
  return {
    text: `${self} cannot send to ${path.destination} by ${path.device}: ${error}`,
    advice: firewall
      ? `a rule of ${self}'s own firewall drops it: see iptables-save, chain OUTPUT`
      : `see \`ip route get ${path.destination} from ${path.source}\` on ${self}`,
  };
}

function wrongChecksum({ self, peer, path, seen }: Case): Words | undefined {
  const { sent, answered, arrived, uncheckedArrived = 0, checksumErrors } = seen;
  if (answered > 0 || arrived === undefined || sent === 0) return undefined;
  const outward = arrived === 0 && (uncheckedArrived > 0 || (checksumErrors?.there ?? 0) >= sent);
  const back = arrived > 0 && (checksumErrors?.here ?? 0) >= arrived;
  if (!outward && !back) return undefined;
  const [from, to] = outward ? [self, peer.node] : [peer.node, self];
  const counted = outward ? checksumErrors?.there : checksumErrors?.here;
  const device = path.device ?? "";
  const evidence =
    counted === undefined || counted === 0
      ? "those without a checksum arrive"
      : `${to}'s kernel counted ${counted}`;
  return {
    from,
    to,
    text: `checksums of packets from ${from} to ${to} through ${device} are wrong: ${evidence}`,
    advice: checksumAdvice(path, from),
  };
}

/** Facts 4.9: what both ends of a tunnel must have. */
function wrongDevice({ self, peer, path, seen }: Case): Words | undefined {
  const { here, there } = peer.tunnels;
  if (seen.answered > 0 || there === undefined || !isTunnel(path.carrier)) return undefined;
  const own = here.find(({ name }) => name === path.device);
  const other = there.find(({ name }) => name === path.device);
  if (other === undefined || !other.up) {
    return {
      text: `${peer.node} has no ${path.device}${other === undefined ? "" : " that is up"}`,
      advice: `see felix's log on ${peer.node}: it could not make the device`,
    };
  }
  if (own === undefined || (own.port === other.port && own.vni === other.vni)) return undefined;
  const words = ({ vni, port }: TunnelState) =>
    vni === undefined ? `port ${port}` : `VNI ${vni} and port ${port}`;
  return {
    text: `${path.device} has ${words(own)} on ${self}, ${words(other)} on ${peer.node}`,
    advice: deviceAdvice(path.carrier),
  };
}

function filtered({ self, peer, path, seen, port }: Case): Words | undefined {
  const { sent, answered, arrived } = seen;
  if (sent === 0 || answered > 0) return undefined;
  const what = outerPackets(path, peer.tunnels.here, port);
  const outward = arrived === 0;
  const [from, to] = outward ? [self, peer.node] : [peer.node, self];
  const isKnown = arrived !== undefined;
  const direction = isKnown
    ? `from ${from} to ${to}`
    : `between ${self} and ${peer.node}, both ways`;
  const detail =
    arrived === undefined
      ? `${sent} probes, no answer`
      : outward
        ? `of ${sent} probes of ${self} none arrived`
        : `${arrived} of ${sent} probes of ${self} arrived, no answer came back`;
  return {
    ...(isKnown ? { from, to } : {}),
    text: `${what} ${path.carrier === "none" ? "are" : "is"} filtered between ${self} and ${peer.node}: ${detail}`,
    advice: filterAdvice(path, { what, direction }),
  };
}

function smallMtu({ self, peer, path, seen, underlay }: Case): Words | undefined {
  const { mtu } = seen;
  const there = limited(mtu?.there);
  const limit = there ?? limited(mtu?.back);
  if (limit === undefined) return undefined;
  // A tunnel that fits as well as its underlay lets it: said once, of the underlay.
  const below = limited(underlay?.mtu?.there) ?? limited(underlay?.mtu?.back);
  const extra = overhead[path.carrier];
  if (isTunnel(path.carrier) && below !== undefined && limit.largest + extra >= below.largest - 8) {
    return undefined;
  }
  const [from, to] = there === undefined ? [peer.node, self] : [self, peer.node];
  const { largest, wanted } = limit;
  const what = limit.told ? "are refused" : "vanish";
  return {
    from,
    to,
    ...(limit.told ? { severity: "hint" as const } : {}),
    text: `packets above ${largest} bytes ${what} from ${from} to ${to} through ${path.device}, whose MTU is ${wanted}`,
    advice: mtuAdvice(path, largest),
  };
}

function limited(limit: SizeLimit | undefined): SizeLimit | undefined {
  return limit !== undefined && limit.largest < limit.wanted ? limit : undefined;
}

function loss({ self, peer, path, seen }: Case): Words | undefined {
  if (seen.answered === 0 || seen.sent < 2) return undefined;
  return {
    severity: "hint",
    text: `${seen.sent - 1} of ${seen.sent} small probes from ${self} to ${peer.node} through ${path.device} were lost`,
    advice: "run it again; if it stays, look for errors of the interfaces: ip -s link",
  };
}

function slow({ self, peer, path, seen, underlay }: Case): Words | undefined {
  const [tunnel, below] = [seen.megabitsPerSecond, underlay?.megabitsPerSecond];
  if (!isTunnel(path.carrier) || tunnel === undefined || below === undefined) return undefined;
  // That it is slow is known (docs/udp-tunnel.md).
  if (path.carrier === "udp") return undefined;
  if (tunnel >= slowMegabits || tunnel * slowRatio >= below) return undefined;
  return {
    severity: "hint",
    text: `${path.device} carries ${Math.round(tunnel)} Mbit/s from ${self} to ${peer.node}, the network below ${Math.round(below)}`,
    advice: speedAdvice(path),
  };
}
