import { type Prefix, prefixContains } from "../../lib/prefix.ts";
import { ipAddress, labelKeyOnly, labels, labelValueOnly, metadata, net } from "./fields.ts";
import {
  anything,
  array,
  boolean,
  type Check,
  type Fields,
  integer,
  matching,
  numberOr,
  object,
  oneOf,
  refuse,
  shown,
  text,
} from "./schema.ts";

/** What we take from Kubernetes, as strictly as its API server does. */

const expression = object(
  {
    key: labelKeyOnly,
    operator: oneOf("In", "NotIn", "Exists", "DoesNotExist"),
    values: array(labelValueOnly),
  },
  {
    required: ["key", "operator"],
    refine: ({ operator, values }, path, report) => {
      const given = ((values as string[] | undefined) ?? []).length > 0;
      const needed = operator === "In" || operator === "NotIn";
      if (given === needed) return;
      const problem = needed ? "is required with" : "may not be given with";
      refuse(report, `${path}.values`, `${problem} operator ${operator}`);
    },
  },
);

export const labelSelector: Check = object({
  matchLabels: labels,
  matchExpressions: array(expression),
});

const ipBlock = object(
  { cidr: net, except: array(net) },
  {
    required: ["cidr"],
    refine: ({ cidr, except }, path, report) => {
      for (const [index, hole] of ((except as Prefix[] | undefined) ?? []).entries()) {
        if (hole !== cidr && prefixContains(cidr as Prefix, hole)) continue;
        refuse(report, `${path}.except[${index}]`, `must lie inside ${cidr}, got ${shown(hole)}`);
      }
    },
  },
);

const peer = object(
  { podSelector: labelSelector, namespaceSelector: labelSelector, ipBlock },
  {
    refine: (value, path, report) => {
      if (Object.keys(value).length === 0) {
        refuse(report, path, "must have podSelector, namespaceSelector or ipBlock");
      } else if (value["ipBlock"] !== undefined && Object.keys(value).length > 1) {
        refuse(report, `${path}.ipBlock`, "may not be given together with a selector");
      }
    },
  },
);

export const portNumber: Check = integer(1, 65535);
const port = object(
  {
    protocol: oneOf("TCP", "UDP", "SCTP"),
    port: numberOr(
      portNumber,
      matching(/^(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/, "a port or a port's name"),
    ),
    endPort: portNumber,
  },
  {
    refine: ({ port: first, endPort }, path, report) => {
      if (endPort === undefined) return;
      if (typeof first !== "number" || Number(endPort) < first) {
        refuse(report, `${path}.endPort`, `must be at least port, got ${shown(endPort)}`);
      }
    },
  },
);

export const kubernetesPolicyFields: Fields = {
  podSelector: labelSelector,
  policyTypes: array(oneOf("Ingress", "Egress"), 2),
  ingress: array(object({ from: array(peer), ports: array(port) })),
  egress: array(object({ to: array(peer), ports: array(port) })),
};

export const kubernetesNetworkPolicy: Check = object(
  {
    apiVersion: text(),
    kind: text(),
    metadata,
    spec: object(kubernetesPolicyFields),
    status: anything,
  },
  { required: ["metadata", "spec"] },
);

export const kubernetesNamespace: Check = object(
  { apiVersion: text(), kind: text(), metadata, spec: anything, status: anything },
  { required: ["metadata"] },
);

const ipFamily = oneOf("IPv4", "IPv6");

/** Service.spec: what concerns us is checked, the rest is kept. */
export const serviceSpec: Check = open({
  type: oneOf("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
  clusterIP: text(),
  clusterIPs: array(text()),
  ipFamilies: array(ipFamily),
  externalIPs: array(ipAddress),
  loadBalancerIP: text(),
  loadBalancerClass: text(),
  externalTrafficPolicy: oneOf("Cluster", "Local"),
});

/** Lease.spec: a holder that renews it in time keeps it. */
export const leaseSpec: Check = open({
  holderIdentity: text(),
  leaseDurationSeconds: integer(1, Number.MAX_SAFE_INTEGER),
  acquireTime: text(),
  renewTime: text(),
  leaseTransitions: integer(0, Number.MAX_SAFE_INTEGER),
});

/** An EndpointSlice has no spec. */
export const endpointSliceFields: Fields = {
  addressType: oneOf("IPv4", "IPv6", "FQDN"),
  endpoints: array(
    open({ addresses: array(text()), conditions: open({ ready: boolean }), nodeName: text() }),
  ),
  ports: array(
    open({ name: text(), protocol: oneOf("TCP", "UDP", "SCTP"), port: integer(0, 65535) }),
  ),
};

/** An object of which only these fields are looked at. */
function open(fields: Fields): Check {
  const check = object(fields);
  return (value, path, report) => check(value, path, { ...report, unknownFields: "keep" });
}
