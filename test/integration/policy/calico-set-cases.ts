import { allow, calico, fromClient, globalPolicy, policy, toServer } from "./calico-manifests.ts";
import type { PolicyCase } from "./policy-case.ts";

/** Whom a rule means: by selector, network set, account and service (facts 2.5, 2.6, 4.3, 4.4). */

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

export const setCases: readonly PolicyCase[] = [...selectors, ...sets, ...accountsAndServices];
