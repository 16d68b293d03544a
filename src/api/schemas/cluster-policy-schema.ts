import { metadata, net } from "./fields.ts";
import { labelSelector, portNumber } from "./kubernetes-schema.ts";
import {
  anything,
  array,
  type Check,
  type Fields,
  integer,
  isObject,
  object,
  oneOf,
  refuse,
  shown,
  text,
} from "./schema.ts";

/** ClusterNetworkPolicy of `policy.networking.k8s.io/v1alpha2`, as strictly as its CRD. */

const maxItems = 25;
const maxNameLength = 100;

/** A list that may not be empty where it is given: empty would mean anybody, or nobody. */
function someOf(item: Check): Check {
  const list = array(item, maxItems);
  return (value, path, report) => {
    if (Array.isArray(value) && value.length === 0) refuse(report, path, "may not be empty");
    return list(value, path, report);
  };
}

/** Exactly one of these fields: none is a field that a newer release has, and we do not know. */
function oneField(fields: Fields): Check {
  return object(fields, {
    refine: (value, path, report) => {
      const names = Object.keys(fields);
      if (names.filter((name) => value[name] !== undefined).length === 1) return;
      refuse(report, path, `must have exactly one of ${names.join(", ")}`);
    },
  });
}

/** A field that Kubernetes calls experimental. */
const notSupported: Check = (value, path, report) => {
  refuse(report, path, "is not supported");
  return value;
};

const subjectFields: Fields = {
  namespaces: labelSelector,
  pods: object(
    { namespaceSelector: labelSelector, podSelector: labelSelector },
    { required: ["podSelector"] },
  ),
};

const egressPeer = oneField({
  ...subjectFields,
  networks: someOf(net),
  nodes: notSupported,
  domainNames: notSupported,
});

const portRange = object(
  { start: portNumber, end: portNumber },
  {
    required: ["start", "end"],
    refine: ({ start, end }, path, report) => {
      if (Number(start) <= Number(end)) return;
      refuse(report, `${path}.end`, `must be at least start, got ${shown(end)}`);
    },
  },
);

const portsOfProtocol = object(
  { destinationPort: oneField({ number: portNumber, range: portRange }) },
  { required: ["destinationPort"] },
);

const protocol = oneField({
  tcp: portsOfProtocol,
  udp: portsOfProtocol,
  sctp: portsOfProtocol,
  destinationNamedPort: notSupported,
});

const ruleName = text((value) => {
  if (value.length <= maxNameLength) return;
  throw new SyntaxError(`has ${value.length} characters, at most ${maxNameLength} fit`);
});

function rule(peers: "from" | "to", peer: Check): Check {
  return object(
    {
      name: ruleName,
      action: oneOf("Accept", "Deny", "Pass"),
      [peers]: someOf(peer),
      protocols: someOf(protocol),
    },
    { required: ["action", peers] },
  );
}

/** One rule of each direction. */
export const clusterPolicyRules: Readonly<Record<"ingress" | "egress", Check>> = {
  ingress: rule("from", oneField(subjectFields)),
  egress: rule("to", egressPeer),
};

const headFields: Fields = {
  tier: oneOf("Admin", "Baseline"),
  priority: integer(0, 1000),
  subject: oneField(subjectFields),
};
const required = Object.keys(headFields);

/** What a policy is nothing without. Its rules are looked at one by one. */
export const clusterPolicyHead: Check = object(
  { ...headFields, ingress: array(anything), egress: array(anything) },
  { required },
);

const clusterMetadata: Check = (value, path, report) => {
  if (isObject(value) && (value["namespace"] ?? undefined) !== undefined) {
    refuse(report, `${path}.namespace`, "may not be given: ClusterNetworkPolicy is not namespaced");
  }
  return metadata(value, path, report);
};

export const clusterNetworkPolicy: Check = object(
  {
    apiVersion: oneOf("policy.networking.k8s.io/v1alpha2"),
    kind: text(),
    metadata: clusterMetadata,
    spec: object(
      {
        ...headFields,
        ingress: array(clusterPolicyRules.ingress, maxItems),
        egress: array(clusterPolicyRules.egress, maxItems),
      },
      { required },
    ),
    status: anything,
  },
  { required: ["metadata", "spec"] },
);
