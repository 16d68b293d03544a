import { dscpValue } from "../../api/dscp.ts";
import {
  defaultBurst,
  defaultPacketBurst,
  nearestInRange,
  type QosLimit,
  qosRanges,
} from "../../api/qos-limits.ts";
import type { QoSControls } from "../../api/resources/workload-endpoint.ts";
import type { DirectionLimits, EndpointQos } from "./updates.ts";

/** Limits of an endpoint as the dataplane has them; undefined: it has none. */
export function endpointQos(controls: QoSControls | undefined): EndpointQos | undefined {
  if (controls === undefined) return undefined;
  const ingress = limits("ingress", controls);
  const egress = limits("egress", controls);
  const dscp = controls.dscp === undefined ? undefined : dscpValue(controls.dscp);
  if (dscp === undefined && !hasLimits(ingress) && !hasLimits(egress)) return undefined;
  return { ingress, egress, ...(dscp === undefined ? {} : { dscp }) };
}

function hasLimits(limits: DirectionLimits): boolean {
  return Object.keys(limits).length > 0;
}

function limits(direction: "ingress" | "egress", controls: QoSControls): DirectionLimits {
  const read = (limit: QosLimit) => clamped(controls[`${direction}${limit}`], limit);
  const bandwidth = read("Bandwidth");
  const burst = read("Burst") ?? defaultBurst;
  const peakrate = read("Peakrate");
  const packetRate = read("PacketRate");
  const maxConnections = read("MaxConnections");
  // The kernel refuses a peak that is not above the rate.
  const peaks = peakrate !== undefined && bandwidth !== undefined && peakrate > bandwidth;
  const peak = peaks ? { peak: { rate: peakrate, minburst: read("Minburst") ?? 0 } } : {};
  return {
    ...(bandwidth === undefined ? {} : { bandwidth: { rate: bandwidth, burst, ...peak } }),
    ...(packetRate === undefined
      ? {}
      : { packets: { rate: packetRate, burst: read("PacketBurst") ?? defaultPacketBurst } }),
    ...(maxConnections === undefined ? {} : { maxConnections }),
  };
}

/** A value out of its range is the nearest in it, 0 is none. */
function clamped(value: number | undefined, limit: QosLimit): number | undefined {
  return value === undefined || value <= 0 ? undefined : nearestInRange(value, qosRanges[limit]);
}
