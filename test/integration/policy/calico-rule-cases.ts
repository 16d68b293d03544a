import { calico, fromClient, globalPolicy, policy, toServer } from "./calico-manifests.ts";
import type { PolicyCase } from "./policy-case.ts";

/** What a rule may match (facts 2.5, 4.3, 4.4, 4.6, appendix D 24 to 30). */

/** `field` is the inside of a flow map. */
function allow(...fields: readonly string[]): string {
  return fields.map((field) => `{action: Allow, ${field}}`).join(", ");
}

const protocols: readonly PolicyCase[] = [
  {
    says: "protocol by name",
    manifests: toServer(allow("protocol: UDP")),
    passes: ["client -> server udp/53"],
    drops: ["client -> server tcp/53", "client -> server icmp/echo", "client -> server sctp/53"],
  },
  {
    says: "protocol by number",
    manifests: toServer(allow("protocol: 6", "protocol: 253")),
    passes: ["client -> server tcp/80", "client -> server protocol/253"],
    drops: ["client -> server udp/80", "client -> server protocol/254"],
  },
  {
    says: "protocol SCTP, and a port of it",
    manifests: toServer(allow("protocol: SCTP, destination: {ports: [80]}")),
    passes: ["client -> server sctp/80"],
    drops: ["client -> server sctp/81", "client -> server tcp/80"],
  },
  {
    says: "notProtocol",
    manifests: toServer(allow("notProtocol: TCP")),
    passes: ["client -> server udp/53", "client -> server protocol/253"],
    drops: ["client -> server tcp/80"],
  },
  {
    says: "ICMP type",
    manifests: toServer(allow("protocol: ICMP, icmp: {type: 8}")),
    passes: ["client -> server icmp/echo", "client -> server icmp/echo.5"],
    drops: ["client -> server icmp/other", "client -> server tcp/80"],
    families: [4],
  },
  {
    says: "ICMP type and code",
    manifests: toServer(allow("protocol: ICMP, icmp: {type: 8, code: 5}")),
    passes: ["client -> server icmp/echo.5"],
    drops: ["client -> server icmp/echo", "client -> server icmp/other.5"],
    families: [4],
  },
  {
    says: "notICMP",
    manifests: toServer(allow("protocol: ICMP, notICMP: {type: 8}")),
    passes: ["client -> server icmp/other"],
    drops: ["client -> server icmp/echo"],
    families: [4],
  },
  {
    says: "ICMPv6 type and code have numbers of their own",
    manifests: toServer(allow("protocol: ICMPv6, icmp: {type: 128, code: 5}")),
    passes: ["client -> server icmp/echo.5"],
    drops: ["client -> server icmp/echo", "client -> server icmp/other.5"],
    families: [6],
  },
  {
    says: "notICMP of ICMPv6",
    manifests: toServer(allow("protocol: ICMPv6, notICMP: {type: 139}")),
    passes: ["client -> server icmp/echo"],
    drops: ["client -> server icmp/other"],
    families: [6],
  },
  {
    says: "ipVersion: a rule of IPv4 lets nothing of IPv6 in",
    manifests: toServer(allow("ipVersion: 4")),
    drops: ["client -> server tcp/80", "client -> server icmp/echo"],
    families: [6],
  },
  {
    says: "ipVersion: a rule of IPv4 lets IPv4 in",
    manifests: toServer(allow("ipVersion: 4")),
    passes: ["client -> server tcp/80", "client -> server icmp/echo"],
    families: [4],
  },
];

const ports: readonly PolicyCase[] = [
  {
    says: "ports by number and range",
    manifests: toServer(allow('protocol: TCP, destination: {ports: [80, "8000:8010"]}')),
    passes: ["client -> server tcp/80", "client -> server tcp/8000", "client -> server tcp/8010"],
    drops: ["client -> server tcp/81", "client -> server tcp/7999", "client -> server udp/80"],
  },
  {
    says: "named ports",
    manifests: toServer(allow("protocol: TCP, destination: {ports: [web]}")),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server tcp/81"],
  },
  {
    says: "named ports alone need no protocol: ports of TCP are meant",
    manifests: toServer(allow("destination: {ports: [web, ask]}")),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server udp/53", "client -> server udp/80", "client -> server tcp/53"],
  },
  {
    says: "named ports and numbers together",
    manifests: toServer(allow("protocol: TCP, destination: {ports: [web, 90]}")),
    passes: ["client -> server tcp/80", "client -> server tcp/90"],
    drops: ["client -> server tcp/91"],
  },
  {
    says: "named ports and a selector: only ports of what is selected",
    manifests: fromClient(
      allow("protocol: TCP, destination: {selector: app == 'other', ports: [web]}"),
    ),
    drops: ["client -> server tcp/80", "client -> other tcp/80"],
  },
  {
    says: "source ports",
    manifests: toServer(allow('protocol: TCP, source: {ports: [5001, "5010:5020"]}')),
    passes: ["client -> server tcp/80 from 5001", "client -> server tcp/80 from 5015"],
    drops: ["client -> server tcp/80 from 5002", "client -> server tcp/80"],
  },
  {
    says: "notPorts by number, range and name",
    manifests: toServer(allow('protocol: TCP, destination: {notPorts: [81, "90:95", web]}')),
    passes: ["client -> server tcp/82", "client -> server tcp/96"],
    drops: ["client -> server tcp/80", "client -> server tcp/81", "client -> server tcp/92"],
  },
  {
    says: "notPorts of the source",
    manifests: toServer(allow("protocol: TCP, source: {notPorts: [5031]}")),
    passes: ["client -> server tcp/80 from 5032"],
    drops: ["client -> server tcp/80 from 5031"],
  },
  {
    says: "more ports than one match holds",
    manifests: toServer(
      allow(
        `protocol: TCP, destination: {ports: [${Array.from({ length: 40 }, (_, i) => 1000 + 2 * i)}]}`,
      ),
    ),
    passes: ["client -> server tcp/1000", "client -> server tcp/1078"],
    drops: ["client -> server tcp/1001", "client -> server tcp/1080"],
  },
  {
    says: "more ports than one match holds, on both sides",
    manifests: toServer(
      allow(
        `protocol: TCP, source: {ports: [${Array.from({ length: 20 }, (_, i) => 6000 + 2 * i)}]}, destination: {ports: [${Array.from({ length: 20 }, (_, i) => 1000 + 2 * i)}]}`,
      ),
    ),
    passes: ["client -> server tcp/1038 from 6038"],
    drops: ["client -> server tcp/1038 from 6039", "client -> server tcp/1039 from 6036"],
  },
];

const nets: readonly PolicyCase[] = [
  {
    says: "nets: one of each family",
    manifests: toServer(
      allow("source: {nets: [10.0.0.3/32]}", 'source: {nets: ["fd00:10::3/128"]}'),
    ),
    passes: ["client -> server tcp/80"],
    drops: ["other -> server tcp/80"],
  },
  {
    says: "nets: any of several",
    manifests: toServer(
      allow(
        "source: {nets: [10.0.0.3/32, 10.0.0.5/32]}",
        'source: {nets: ["fd00:10::3/128", "fd00:10::5/128"]}',
      ),
    ),
    passes: ["client -> server tcp/80", "dev -> server tcp/80"],
    drops: ["other -> server tcp/80"],
  },
  {
    says: "notNets: none of several",
    manifests: toServer(
      allow(
        "ipVersion: 4, source: {notNets: [10.0.0.3/32, 10.0.0.5/32]}",
        'ipVersion: 6, source: {notNets: ["fd00:10::3/128", "fd00:10::5/128"]}',
      ),
    ),
    passes: ["other -> server tcp/80", "outside -> server tcp/80"],
    drops: ["client -> server tcp/80", "dev -> server tcp/80"],
  },
  {
    says: "nets and notNets of both sides together",
    manifests: fromClient(
      allow(
        "source: {nets: [10.0.0.0/30, 10.0.0.4/30]}, destination: {nets: [10.0.0.0/28, 192.168.1.0/24], notNets: [10.0.0.4/32, 192.168.1.2/32]}",
        'source: {nets: ["fd00:10::/126", "fd00:10::4/126"]}, destination: {nets: ["fd00:10::/124", "2001:db8:1::/64"], notNets: ["fd00:10::4/128", "2001:db8:1::2/128"]}',
      ),
    ),
    passes: ["client -> server tcp/80", "client -> outside tcp/80"],
    drops: ["client -> other tcp/80", "client -> outside.2 tcp/80"],
  },
  {
    says: "a rule with nets of the other family alone is not there",
    manifests: toServer(allow('source: {nets: ["::/0"]}')),
    drops: ["client -> server tcp/80"],
    families: [4],
  },
  {
    says: "a rule whose notNets are of the other family is there",
    manifests: toServer(allow('source: {notNets: ["fd00:10::3/128"]}')),
    passes: ["client -> server tcp/80"],
    families: [4],
  },
];

const selectors: readonly PolicyCase[] = [
  {
    says: "selector: endpoints of the policy's own namespace",
    manifests: toServer(allow("source: {selector: app == 'client'}")),
    passes: ["client -> server tcp/80"],
    drops: ["dev -> server tcp/80", "other -> server tcp/80", "outside -> server tcp/80"],
  },
  {
    says: "selector of a global policy: endpoints of any namespace",
    manifests: globalPolicy(
      `selector: app == 'server', types: [Ingress], ingress: [${allow("source: {selector: app == 'client'}")}]`,
    ),
    passes: ["client -> server tcp/80", "dev -> server tcp/80"],
    drops: ["other -> server tcp/80"],
  },
  {
    says: "notSelector: the others of the policy's own namespace",
    manifests: toServer(allow("source: {notSelector: app == 'client'}")),
    passes: ["other -> server tcp/80"],
    drops: ["client -> server tcp/80", "dev -> server tcp/80", "outside -> server tcp/80"],
  },
  {
    says: "notSelector of a global policy: everybody else, who is no endpoint too",
    manifests: globalPolicy(
      `selector: app == 'server', types: [Ingress], ingress: [${allow("source: {notSelector: app == 'client'}")}]`,
    ),
    passes: ["other -> server tcp/80", "outside -> server tcp/80"],
    drops: ["client -> server tcp/80", "dev -> server tcp/80"],
  },
  {
    says: "selector and notSelector together",
    manifests: toServer(allow("source: {selector: has(app), notSelector: tier == 'front'}")),
    passes: ["other -> server tcp/80"],
    drops: ["client -> server tcp/80", "outside -> server tcp/80"],
  },
  {
    says: "selector and nets together: both must match",
    manifests: toServer(
      allow(
        "source: {selector: has(app), nets: [10.0.0.0/30]}",
        'source: {selector: has(app), nets: ["fd00:10::/126"]}',
      ),
    ),
    passes: ["client -> server tcp/80"],
    drops: ["other -> server tcp/80"],
  },
  {
    says: "namespaceSelector",
    manifests: toServer(allow("source: {namespaceSelector: env == 'development'}")),
    passes: ["dev -> server tcp/80"],
    drops: ["client -> server tcp/80", "outside -> server tcp/80"],
  },
  {
    says: "namespaceSelector all(): every pod, and nobody who is in no namespace",
    manifests: toServer(allow("source: {namespaceSelector: all()}")),
    passes: ["dev -> server tcp/80", "client -> server tcp/80"],
    drops: ["outside -> server tcp/80"],
  },
  {
    says: "namespaceSelector and selector",
    manifests: toServer(allow("source: {namespaceSelector: has(env), selector: app == 'client'}")),
    passes: ["dev -> server tcp/80", "client -> server tcp/80"],
    drops: ["other -> server tcp/80"],
  },
  {
    says: "namespaceSelector global(): global network sets and host endpoints, no pods",
    manifests:
      toServer(allow("source: {namespaceSelector: global(), selector: has(role)}")) +
      calico(
        "GlobalNetworkSet",
        "name: out, labels: {role: friend}",
        'nets: [192.168.1.1/32, "2001:db8:1::1/128"]',
      ) +
      calico(
        "NetworkSet",
        "name: in, namespace: prod, labels: {role: friend}",
        'nets: [10.0.0.4/32, "fd00:10::4/128"]',
      ),
    passes: ["outside -> server tcp/80"],
    drops: ["outside.2 -> server tcp/80", "other -> server tcp/80", "client -> server tcp/80"],
  },
  ...(
    [
      ["app == 'client'", ["client"], ["other"]],
      ["app != 'client'", ["other"], ["client"]],
      ["app in { 'client', 'x' }", ["client"], ["other"]],
      ["tier not in { 'front' }", ["other"], ["client"]],
      ["has(tier)", ["client"], ["other"]],
      ["!has(tier)", ["other"], ["client"]],
      ["app contains 'lie'", ["client"], ["other"]],
      ["app starts with 'cl'", ["client"], ["other"]],
      ["app ends with 'er'", ["other"], ["client"]],
      ["(app == 'other' || tier == 'back') && !(app == 'server')", ["other"], ["client"]],
      ["all()", ["client", "other"], ["outside"]],
    ] as const
  ).map(
    ([selector, passing, dropped]): PolicyCase => ({
      says: `selector ${selector}`,
      manifests: toServer(allow(`source: {selector: "${selector}"}`)),
      passes: passing.map((pod) => `${pod} -> server tcp/80`),
      drops: dropped.map((pod) => `${pod} -> server tcp/80`),
    }),
  ),
];

const sets: readonly PolicyCase[] = [
  {
    says: "NetworkSet: its addresses are as endpoints of its namespace",
    manifests:
      toServer(allow("source: {selector: role == 'friend'}")) +
      calico(
        "NetworkSet",
        "name: friends, namespace: prod, labels: {role: friend}",
        'nets: [10.0.0.5/32, 192.168.1.0/31, "fd00:10::5/128", "2001:db8:1::/127"]',
      ) +
      calico(
        "NetworkSet",
        "name: friends, namespace: dev, labels: {role: friend}",
        'nets: [10.0.0.3/32, "fd00:10::3/128"]',
      ),
    passes: ["dev -> server tcp/80", "outside -> server tcp/80"],
    drops: ["client -> server tcp/80", "outside.2 -> server tcp/80"],
  },
  {
    says: "NetworkSet inherits the labels of its namespace",
    manifests:
      toServer(
        allow("source: {namespaceSelector: env == 'development', selector: role == 'friend'}"),
      ) +
      calico(
        "NetworkSet",
        "name: friends, namespace: dev, labels: {role: friend}",
        'nets: [192.168.1.1/32, "2001:db8:1::1/128"]',
      ),
    passes: ["outside -> server tcp/80"],
    drops: ["outside.2 -> server tcp/80", "dev -> server tcp/80"],
  },
  {
    says: "GlobalNetworkSet with all addresses there are",
    manifests:
      globalPolicy(
        `selector: app == 'server', types: [Ingress], ingress: [${allow("source: {selector: role == 'any'}")}]`,
      ) + calico("GlobalNetworkSet", "name: any, labels: {role: any}", 'nets: [0.0.0.0/0, "::/0"]'),
    passes: ["outside -> server tcp/80", "client -> server tcp/80"],
  },
  {
    says: "A set that is not there lets nobody in",
    manifests: toServer(allow("source: {selector: role == 'nobody'}")),
    drops: ["client -> server tcp/80", "outside -> server tcp/80"],
  },
];

const accountsAndServices: readonly PolicyCase[] = [
  {
    says: "serviceAccounts by name",
    manifests: toServer(allow("source: {serviceAccounts: {names: [robot]}}")),
    passes: ["client -> server tcp/80"],
    drops: ["other -> server tcp/80", "dev -> server tcp/80"],
  },
  {
    says: "serviceAccounts by selector",
    manifests: toServer(allow("source: {serviceAccounts: {selector: team == 'blue'}}")),
    passes: ["client -> server tcp/80"],
    drops: ["other -> server tcp/80"],
  },
  {
    says: "serviceAccounts that are not there let nobody in",
    manifests: toServer(allow("source: {serviceAccounts: {names: [nobody]}}")),
    drops: ["client -> server tcp/80", "other -> server tcp/80"],
  },
  {
    says: "services of egress: its endpoints and ports",
    manifests:
      fromClient(allow("destination: {services: {name: web, namespace: prod}}")) +
      slice("web", "10.0.0.2", "fd00:10::2"),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server tcp/81", "client -> server udp/80", "client -> other tcp/80"],
  },
  {
    says: "services of ingress: its endpoints, from any port",
    manifests:
      toServer(allow("source: {services: {name: web, namespace: prod}}")) +
      slice("web", "10.0.0.4", "fd00:10::4"),
    passes: ["other -> server tcp/80", "other -> server udp/53"],
    drops: ["client -> server tcp/80"],
  },
  {
    says: "A service that is not there is nobody",
    manifests: fromClient(allow("destination: {services: {name: web, namespace: prod}}")),
    drops: ["client -> server tcp/80"],
  },
  {
    says: "Annotations of a rule are comments of it",
    manifests: policy(
      `selector: app == 'server', types: [Ingress], ingress: [{action: Allow, protocol: TCP, metadata: {annotations: {why: "it's \\"so\\" -j DROP"}}}]`,
    ),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server udp/53"],
  },
];

function slice(service: string, v4: string, v6: string): string {
  const ofFamily = (addressType: string, address: string) => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${service}-${addressType.toLowerCase()}, namespace: prod, labels: {kubernetes.io/service-name: ${service}}}
addressType: ${addressType}
endpoints: [{addresses: ["${address}"]}]
ports: [{name: http, protocol: TCP, port: 80}]
---`;
  return ofFamily("IPv4", v4) + ofFamily("IPv6", v6);
}

/** Probes pass while `besides` is there, and only then: rules stay, members of their sets change. */
export interface ComingAndGoing {
  readonly says: string;
  readonly manifests: string;
  readonly besides: string;
  readonly probes: readonly string[];
}

export const comingAndGoing: readonly ComingAndGoing[] = [
  {
    says: "a network set comes and goes",
    manifests: toServer(allow("source: {selector: role == 'friend'}")),
    besides: calico(
      "NetworkSet",
      "name: friends, namespace: prod, labels: {role: friend}",
      'nets: [10.0.0.3/32, "fd00:10::3/128"]',
    ),
    probes: ["client -> server tcp/80", "client -> server icmp/echo"],
  },
  {
    says: "endpoints of a service come and go",
    manifests: fromClient(allow("destination: {services: {name: web, namespace: prod}}")),
    besides: slice("web", "10.0.0.2", "fd00:10::2"),
    probes: ["client -> server tcp/80"],
  },
];

export const ruleCases: readonly PolicyCase[] = [
  ...protocols,
  ...ports,
  ...nets,
  ...selectors,
  ...sets,
  ...accountsAndServices,
];
