import { errorMessage } from "../../lib/errors.ts";
import { dscpValue } from "../dscp.ts";
import {
  defaultBurst,
  defaultPacketBurst,
  nearestInRange,
  type QosLimit,
  qosRanges,
} from "../qos-limits.ts";
import type { QoSControls } from "../resources/workload-endpoint.ts";
import { parseQuantity } from "./quantity.ts";

/** A pod's annotations about quality of service (facts 2.6). */

type Annotations = Readonly<Record<string, unknown>>;
type Direction = "ingress" | "egress";

const prefix = "qos.projectcalico.org/";
const plainPrefix = "kubernetes.io/";
const directions = ["ingress", "egress"] as const;

export interface AnnotatedQos {
  /** Absent when nothing is limited. */
  readonly controls?: QoSControls;
  /** What of the annotations is not as it was written, and why. */
  readonly problems: readonly string[];
}

/**
 * Controls that a pod's annotations ask for. A value out of range becomes the nearest that is in it; one that cannot
 * be read, or that lacks the one it goes with, counts as absent.
 */
export function qosOfAnnotations(annotations: Annotations): AnnotatedQos {
  // Most pods: 6 us each otherwise.
  if (!Object.keys(annotations).some(isQosAnnotation)) return { problems: [] };
  const problems: string[] = [];
  const controls: QoSControls = {
    ...Object.assign({}, ...directions.map((each) => limitsOf(each, annotations, problems))),
    ...dscpOf(annotations, problems),
  };
  return { ...(Object.keys(controls).length === 0 ? {} : { controls }), problems };
}

export function isQosAnnotation(name: string): boolean {
  return name.startsWith(prefix) || (name.startsWith(plainPrefix) && name.endsWith("-bandwidth"));
}

function limitsOf(
  direction: Direction,
  annotations: Annotations,
  problems: string[],
): Partial<QoSControls> {
  const read = (limit: QosLimit) =>
    quantityOf(annotations, `${prefix}${direction}${limit}`, qosRanges[limit], problems);
  const needs = (limit: QosLimit, value: number | undefined, other: string, isThere: boolean) => {
    if (value === undefined || isThere) return value;
    problems.push(`${prefix}${direction}${limit}: it needs ${other}`);
    return undefined;
  };
  const plain = `${plainPrefix}${direction}-bandwidth`;
  const usual = quantityOf(annotations, plain, qosRanges.Bandwidth, problems);
  const bandwidth = read("Bandwidth") ?? usual;
  const limited = bandwidth !== undefined;
  const burst = needs("Burst", read("Burst"), `${direction}Bandwidth`, limited);
  const given = read("Peakrate");
  const above = limited && given !== undefined && given > bandwidth;
  const peakrate = needs("Peakrate", given, `a lower ${direction}Bandwidth`, above);
  const peaks = peakrate !== undefined;
  const rate = read("PacketRate");
  const paced = rate !== undefined;
  const packets = needs("PacketBurst", read("PacketBurst"), `${direction}PacketRate`, paced);
  return named(direction, {
    Bandwidth: bandwidth,
    Burst: limited ? (burst ?? defaultBurst) : undefined,
    Peakrate: peakrate,
    Minburst: needs("Minburst", read("Minburst"), `${direction}Peakrate`, peaks),
    PacketRate: rate,
    PacketBurst: paced ? (packets ?? defaultPacketBurst) : undefined,
    MaxConnections: read("MaxConnections"),
  });
}

function named(
  direction: Direction,
  limits: Readonly<Record<QosLimit, number | undefined>>,
): Partial<QoSControls> {
  const present = Object.entries(limits).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present.map(([limit, value]) => [`${direction}${limit}`, value]));
}

function quantityOf(
  annotations: Annotations,
  name: string,
  range: (typeof qosRanges)[QosLimit],
  problems: string[],
): number | undefined {
  const text = annotations[name];
  if (text === undefined || text === null) return undefined;
  try {
    const value = parseQuantity(String(text));
    const [min, max] = range;
    if (value >= min && value <= max) return value;
    const nearest = nearestInRange(value, range);
    problems.push(`${name}: ${text} is not in ${min} to ${max}: it counts as ${nearest}`);
    return nearest;
  } catch (error) {
    problems.push(`${name}: ${errorMessage(error)}`);
    return undefined;
  }
}

function dscpOf(annotations: Annotations, problems: string[]): Partial<QoSControls> {
  const name = `${prefix}dscp`;
  const text = annotations[name];
  if (text === undefined || text === null) return {};
  try {
    const given = String(text).trim().toUpperCase();
    const value = dscpValue(given);
    return { dscp: /^\d/.test(given) ? value : given };
  } catch (error) {
    problems.push(`${name}: ${errorMessage(error)}`);
    return {};
  }
}
