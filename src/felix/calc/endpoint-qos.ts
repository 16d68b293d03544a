import { dscpValue } from "../../api/dscp.ts";
import type { QoSControls } from "../../api/resources/workload-endpoint.ts";
import type { DirectionLimits, EndpointQos } from "./updates.ts";

/** What may be asked for (facts 2.6): a value beyond is the nearest, 0 is none. */
const ranges = {
  bandwidth: [1e3, 1e15],
  burst: [1e3, 34_359_738_360],
  peakrate: [1.01e3, 1.01e15],
  minburst: [0, 1e8],
  packetRate: [1, 10_000],
  packetBurst: [1, 10_000],
  connections: [1, 0xffffffff],
} as const;
const defaultBurst = 2 ** 32;
const defaultPacketBurst = 5;

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
  const bandwidth = clamped(controls[`${direction}Bandwidth`], ranges.bandwidth);
  const burst = clamped(controls[`${direction}Burst`], ranges.burst) ?? defaultBurst;
  const peakrate = clamped(controls[`${direction}Peakrate`], ranges.peakrate);
  const minburst = clamped(controls[`${direction}Minburst`], ranges.minburst) ?? 0;
  const packetRate = clamped(controls[`${direction}PacketRate`], ranges.packetRate);
  const packetBurst = clamped(controls[`${direction}PacketBurst`], ranges.packetBurst);
  const maxConnections = clamped(controls[`${direction}MaxConnections`], ranges.connections);
  const peak = peakrate === undefined ? {} : { peak: { rate: peakrate, minburst } };
  return {
    ...(bandwidth === undefined ? {} : { bandwidth: { rate: bandwidth, burst, ...peak } }),
    ...(packetRate === undefined
      ? {}
      : { packets: { rate: packetRate, burst: packetBurst ?? defaultPacketBurst } }),
    ...(maxConnections === undefined ? {} : { maxConnections }),
  };
}

function clamped(
  value: number | undefined,
  [min, max]: readonly [min: number, max: number],
): number | undefined {
  return value === undefined || value <= 0 ? undefined : Math.min(max, Math.max(min, value));
}
