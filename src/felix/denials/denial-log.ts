import type { NflogHandlers, NflogPacket } from "../../kernel/nflog.ts";
import type { Clock } from "../../lib/clock.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import type { LogTail } from "../../lib/log-tail.ts";
import type { LocalEndpoint } from "../calc/updates.ts";
import type { DeniedLabels } from "../metrics/felix-counters.ts";
import type { Direction } from "../rules/names.ts";
import { type DenialCause, denialCause, type KnownPolicies, policyTitle } from "./denial-cause.ts";
import { DenialLimiter } from "./denial-limiter.ts";

/** One packet that policy denied. `protocol` is "tcp" or a number, `port` the destination's. */
export type Denial = DenialCause & {
  /** RFC 3339, of this node. */
  readonly time: string;
  readonly direction: Direction;
  readonly source: IpAddr;
  readonly destination: IpAddr;
  readonly protocol: string;
  readonly port?: number;
  readonly icmp?: { readonly type: number; readonly code: number };
  /** "<namespace>/<WorkloadEndpoint>" that the policy is for; absent: a host endpoint. */
  readonly workload?: string;
  /** At the end of a tier: those that the workload has there, none of which let the packet in. */
  readonly policies?: readonly string[];
  /** Of the same kind, that were not told of one by one. */
  readonly suppressed: number;
};

/** What the dataplane knows at this moment. */
export interface DenialContext extends KnownPolicies {
  readonly endpoints: ReadonlyMap<string, LocalEndpoint>;
}

const protocolNames = new Map([
  [1, "icmp"],
  [6, "tcp"],
  [17, "udp"],
  [33, "dccp"],
  [58, "icmpv6"],
  [132, "sctp"],
  [136, "udplite"],
]);

export interface DenialPorts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly tail: LogTail;
  /** Hears of each packet, also of those that are not told one by one. */
  onDenied?(denied: DeniedLabels): void;
}

/** Writes what NFLOG rules tell of denied packets to the log, and keeps the last for who asks. */
export class DenialLog implements NflogHandlers {
  readonly #context: () => DenialContext;
  readonly #ports: DenialPorts;
  readonly #limiter = new DenialLimiter();

  constructor(context: () => DenialContext, ports: DenialPorts) {
    this.#context = context;
    this.#ports = ports;
  }

  onPackets(packets: readonly NflogPacket[]): void {
    const { log, clock, tail } = this.#ports;
    for (const packet of packets) {
      this.#count(packet.prefix);
      const suppressed = this.#limiter.take(keyOf(packet), clock.now());
      if (suppressed === undefined) continue;
      const denial = denialOf(packet, this.#context(), { suppressed, time: clock.date() });
      if (denial === undefined) continue;
      const { time: _time, ...fields } = denial;
      log.info(fields, "policy denied a packet");
      tail.write(JSON.stringify(denial));
    }
  }

  #count(prefix: string): void {
    const { onDenied } = this.#ports;
    const found = onDenied === undefined ? undefined : denialCause(prefix, this.#context());
    if (found === undefined) return;
    const { direction, cause } = found;
    const tier = "tier" in cause ? cause.tier : "";
    onDenied?.({ direction, tier, policy: cause.by === "rule" ? cause.policy : "" });
  }

  onLost(): void {
    const { log, clock } = this.#ports;
    const suppressed = this.#limiter.take("lost", clock.now());
    if (suppressed !== undefined) log.warn({ suppressed }, "policy denials were lost: too many");
  }
}

/** The way back of a scan differs in the source's port alone: it is not looked at. */
function keyOf({ prefix, source, destination, protocol, destinationPort }: NflogPacket): string {
  return `${prefix} ${source} ${destination} ${protocol} ${destinationPort ?? ""}`;
}

/** Undefined when no rule of ours tells so. */
export function denialOf(
  packet: NflogPacket,
  context: DenialContext,
  { suppressed, time }: { readonly suppressed: number; readonly time: Date },
): Denial | undefined {
  const found = denialCause(packet.prefix, context);
  if (found === undefined) return undefined;
  const { direction, cause } = found;
  const { source, destination, protocol, destinationPort: port, icmp } = packet;
  const address = direction === "ingress" ? destination : source;
  const workload = [...context.endpoints].find(([, { addresses }]) => addresses.includes(address));
  return {
    time: time.toISOString(),
    direction,
    ...cause,
    source,
    destination,
    protocol: protocolNames.get(protocol) ?? String(protocol),
    ...(port === undefined ? {} : { port }),
    ...(icmp === undefined ? {} : { icmp }),
    ...(workload === undefined ? {} : { workload: workload[0] }),
    ...(workload === undefined || cause.by !== "end of tier"
      ? {}
      : { policies: policiesOf(workload[1], { tier: cause.tier, direction }, context) }),
    suppressed,
  };
}

function policiesOf(
  { tiers }: LocalEndpoint,
  { tier, direction }: { readonly tier: string; readonly direction: Direction },
  { policies }: DenialContext,
): string[] {
  const ids = tiers.find(({ name }) => name === tier)?.[direction] ?? [];
  return ids.flatMap((id) => {
    const policy = policies.get(id);
    return policy === undefined ? [] : [policyTitle(policy)];
  });
}
