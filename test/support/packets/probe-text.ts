/** What is sent from whom to whom. */
export interface Probe {
  readonly text: string;
  /** Names of ends. */
  readonly from: string;
  readonly to: string;
  readonly packet: ProbePacket;
}

export type ProbePacket =
  | WithPorts<"tcp">
  | WithPorts<"udp">
  | { readonly kind: "sctp"; readonly port: number }
  | { readonly kind: "icmp"; readonly type: IcmpRequest; readonly code: number }
  | { readonly kind: "protocol"; readonly number: number };

interface WithPorts<Kind> {
  readonly kind: Kind;
  readonly port: number;
  /** Absent: one that no other probe has. */
  readonly sourcePort?: number;
}

/** Requests that connection tracking takes for new in both families, by name. */
export type IcmpRequest = "echo" | "other";

/**
 * "client -> server tcp/80", "... udp/53", "... tcp/80 from 5000", "... icmp/echo", "... icmp/echo.5" (its
 * code), "... protocol/253".
 *
 * @throws {SyntaxError}
 */
export function parseProbe(text: string): Probe {
  const [, from = "", to = "", kind = "", what = "", sourcePort] =
    /^(\S+) -> (\S+) ([a-z]+)\/([\w.]+)(?: from (\d+))?$/.exec(text) ?? [];
  return { text, from, to, packet: packetOf(text, kind, what, sourcePort) };
}

function packetOf(
  text: string,
  kind: string,
  what: string,
  sourcePort: string | undefined,
): ProbePacket {
  switch (kind) {
    case "tcp":
    case "udp":
      return {
        kind,
        port: Number(what),
        ...(sourcePort === undefined ? {} : { sourcePort: Number(sourcePort) }),
      };
    case "sctp":
      return { kind, port: Number(what) };
    case "icmp": {
      const [type, code = "0"] = what.split(".");
      if (type !== "echo" && type !== "other") break;
      return { kind, type, code: Number(code) };
    }
    case "protocol":
      return { kind, number: Number(what) };
    default:
  }
  throw new SyntaxError(`Cannot read the probe "${text}"`);
}
