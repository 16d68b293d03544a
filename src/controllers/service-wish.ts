import { createHash } from "node:crypto";
import type { KubeControllersConfigurationSpec } from "../api/resources/kube-controllers-configuration.ts";
import type { Service } from "../api/resources/kubernetes.ts";
import { InputError } from "../lib/errors.ts";
import { type IpAddr, type IpFamily, ipFamily, isIpAddr, parseIpAddr } from "../lib/ip-addr.ts";

/** Which addresses a Service is to have (facts 3.11). */
export interface ServiceWish {
  readonly families: readonly IpFamily[];
  /** Names or CIDRs; absent: any that is for load balancers. */
  readonly pools: Readonly<Record<IpFamily, readonly string[] | undefined>>;
  /** Exactly these, where they are named: one a family at most. */
  readonly addresses?: readonly IpAddr[];
}

export type AssignIPs = NonNullable<
  NonNullable<KubeControllersConfigurationSpec["controllers"]>["loadBalancer"]
>["assignIPs"];

const annotation = {
  ipv4Pools: "projectcalico.org/ipv4pools",
  ipv6Pools: "projectcalico.org/ipv6pools",
  addresses: "projectcalico.org/loadBalancerIPs",
} as const;

/** spec.loadBalancerClass of a Service that is ours in any case. */
const ownClass = "calico";

/**
 * Undefined for a Service that gets no address of ours.
 *
 * @throws {InputError} that names the annotation.
 */
export function serviceWish(
  { metadata, spec }: Service,
  assignIPs: AssignIPs = "AllServices",
): ServiceWish | undefined {
  if (spec.type !== "LoadBalancer" || metadata.deletionTimestamp !== undefined) return undefined;
  const { annotations = {} } = metadata;
  const { loadBalancerClass } = spec;
  const asks = Object.values(annotation).some((name) => annotations[name]);
  const ours =
    loadBalancerClass === ownClass ||
    (assignIPs === "AllServices" ? loadBalancerClass === undefined : asks);
  if (!ours) return undefined;
  const addresses = addressesOf(annotations);
  return {
    families: (spec.ipFamilies ?? ["IPv4"]).map((name) => (name === "IPv4" ? 4 : 6)),
    pools: {
      4: listOf(annotations, annotation.ipv4Pools),
      6: listOf(annotations, annotation.ipv6Pools),
    },
    ...(addresses === undefined ? {} : { addresses }),
  };
}

/** IPAM's handle of a Service's addresses (facts 3.6, B 24). */
export function serviceHandle({ name, namespace = "", uid = "" }: Service["metadata"]): string {
  const digest = createHash("sha256").update(`${name}-${namespace}-${uid}`.toLowerCase());
  return `lb-${digest.digest("base64url").replaceAll(/[-_.]/g, "")}`;
}

type Annotations = Readonly<Record<string, string>>;

function addressesOf(annotations: Annotations): readonly IpAddr[] | undefined {
  const name = annotation.addresses;
  const addresses = listOf(annotations, name)?.map((text) => {
    if (isIpAddr(text)) return parseIpAddr(text);
    throw wrong(name, annotations[name], "a list of addresses");
  });
  if (addresses === undefined) return undefined;
  if (new Set(addresses.map(ipFamily)).size === addresses.length) return addresses;
  throw wrong(name, annotations[name], "one address a family");
}

function listOf(annotations: Annotations, name: string): readonly string[] | undefined {
  const text = annotations[name];
  if (text === undefined || text === "") return undefined;
  try {
    const list: unknown = JSON.parse(text);
    const isList = Array.isArray(list) && list.every((item) => typeof item === "string");
    if (isList) return list.length === 0 ? undefined : list;
  } catch {
    // Told below, as any other text that is no list.
  }
  throw wrong(name, text, "a JSON list of texts");
}

function wrong(name: string, value: string | undefined, want: string): InputError {
  return new InputError(`Cannot use the annotation ${name} ${value}: it must be ${want}`);
}
