import { ByteWriter } from "../../lib/byte-writer.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { encodeCapabilities } from "../wire/capabilities.ts";
import { type DecodeFailure, failure } from "../wire/decode-error.ts";
import { afiOf, familyOf, safiUnicast } from "../wire/family.ts";
import type { OpenMessage } from "../wire/message.ts";
import { errorCode } from "../wire/notification.ts";
import { openSubcode } from "../wire/open.ts";
import type { FsmConfig } from "./events.ts";

/**
 * Why the values of a received OPEN are not acceptable (RFC 4271 section 6.2, RFC 6286 section 2.2,
 * RFC 7607, RFC 5492 section 5); undefined when they are.
 */
export function checkOpen(open: OpenMessage, config: FsmConfig): DecodeFailure | undefined {
  if (open.asn !== config.remoteAs || open.asn === 0) {
    const reason = `The peer's AS is ${open.asn}, configured is ${config.remoteAs}`;
    return failure(errorCode.open, openSubcode.peerAs, { reason });
  }
  if (open.holdSeconds === 1 || open.holdSeconds === 2) {
    const reason = `The peer's hold time is ${open.holdSeconds} s`;
    return failure(errorCode.open, openSubcode.holdTime, { reason });
  }
  const internal = config.localAs === config.remoteAs;
  if (open.routerId === 0 || (internal && open.routerId === config.localRouterId)) {
    const reason = `The peer's router id is ${open.routerId === 0 ? "0.0.0.0" : "ours"}`;
    const data = new ByteWriter(4).u32(open.routerId).finish();
    return failure(errorCode.open, openSubcode.routerId, { reason, data });
  }
  const common = familiesOf(open).some((family) => config.families.includes(family));
  if (common) return undefined;
  const reason = "The peer and we have no address family in common";
  const data = encodeCapabilities(
    config.families.map((family) => ({
      kind: "multiprotocol",
      afi: afiOf(family),
      safi: safiUnicast,
    })),
  );
  return failure(errorCode.open, openSubcode.capability, { reason, data });
}

/** Families that an OPEN offers: IPv4 alone without any capability (RFC 4760 section 8). */
export function familiesOf({ capabilities }: OpenMessage): readonly IpFamily[] {
  const offered = capabilities.filter((capability) => capability.kind === "multiprotocol");
  if (offered.length === 0) return [4];
  const families = offered.map(({ afi, safi }) => familyOf(afi, safi));
  return [...new Set(families.filter((family) => family !== undefined))];
}
