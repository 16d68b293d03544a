import { calico, globalPolicy } from "./calico-manifests.ts";
import type { PolicyCase } from "./policy-case.ts";

/** Host endpoints, floating addresses and spoofed sources (facts 2.5, 4.5, 4.10, 4.11, appendix D 33 to 35). */

function hostEndpoint(spec: string, name = "hep"): string {
  return calico("HostEndpoint", `name: ${name}, labels: {role: host}`, `node: node-a, ${spec}`);
}

function hostPolicy(spec: string, name = "host"): string {
  return globalPolicy(`selector: role == 'host', ${spec}`, name);
}

const eth0 = hostEndpoint("interfaceName: eth0");
const allow80 = "{action: Allow, protocol: TCP, destination: {ports: [80]}}";
const deny80 = "{action: Deny, protocol: TCP, destination: {ports: [80]}}";
const answers80 = "{action: Allow, protocol: TCP, source: {ports: [80]}}";

export const hostCases: readonly PolicyCase[] = [
  {
    says: "A host without host endpoint is open",
    manifests: "",
    passes: ["outside -> host tcp/80", "host -> outside tcp/80", "outside -> host icmp/echo"],
  },
  {
    says: "A host endpoint without policy and profile drops what is for the host and from it, not what is forwarded",
    manifests: eth0,
    passes: ["outside -> server tcp/80", "client -> outside tcp/80", "host -> server tcp/80"],
    drops: ["outside -> host tcp/80", "outside -> host icmp/echo", "host -> outside tcp/80"],
  },
  {
    says: "Failsafe ports are open both ways",
    manifests: eth0,
    passes: [
      ...[22, 179, 2379, 2380, 5473, 6443, 6666, 6667].map((port) => `outside -> host tcp/${port}`),
      "outside -> host udp/68",
      ...[179, 2379, 2380, 5473, 6443, 6666, 6667].map((port) => `host -> outside tcp/${port}`),
      "host -> outside udp/53",
      "host -> outside udp/67",
    ],
    drops: ["outside -> host udp/53", "host -> outside tcp/22"],
  },
  {
    says: "Failsafe ports are open when a policy denies them",
    manifests:
      eth0 +
      hostPolicy("types: [Ingress, Egress], ingress: [{action: Deny}], egress: [{action: Deny}]"),
    passes: ["outside -> host tcp/22", "host -> outside udp/53"],
    drops: ["outside -> host tcp/80"],
  },
  {
    says: "The profile projectcalico-default-allow lets all through",
    manifests: hostEndpoint("interfaceName: eth0, profiles: [projectcalico-default-allow]"),
    passes: ["outside -> host tcp/80", "host -> outside tcp/80", "outside -> host icmp/echo"],
  },
  {
    says: "A normal policy is for what ends or begins at the host",
    manifests:
      eth0 +
      hostPolicy(
        `types: [Ingress, Egress], ingress: [${allow80}], egress: [{action: Allow, protocol: UDP}]`,
      ),
    passes: ["outside -> host tcp/80", "host -> outside udp/9", "outside -> server tcp/81"],
    drops: ["outside -> host tcp/81", "host -> outside tcp/80"],
  },
  {
    says: "expectedIPs: the interface that has one of the addresses",
    manifests:
      hostEndpoint('expectedIPs: [192.168.1.11, "2001:db8:1::11"]') +
      hostPolicy(`ingress: [${allow80}]`),
    passes: ["outside -> host tcp/80"],
    drops: ["outside -> host tcp/81"],
  },
  {
    says: "expectedIPs that no interface has: the host is open",
    manifests: hostEndpoint("expectedIPs: [192.168.1.99]"),
    passes: ["outside -> host tcp/80"],
  },
  {
    says: "interfaceName *: all that is for the host or from it, pods' own policy aside",
    manifests:
      hostEndpoint('interfaceName: "*"') +
      hostPolicy(`types: [Ingress, Egress], ingress: [${allow80}]`),
    passes: [
      "outside -> host tcp/80",
      "host -> server tcp/81",
      "client -> server tcp/81",
      "outside -> server tcp/81",
    ],
    drops: ["outside -> host tcp/81", "host -> outside tcp/80"],
  },
  {
    says: "A host endpoint as the controller makes it, without policies, changes nothing",
    manifests: hostEndpoint(
      'interfaceName: "*", expectedIPs: [192.168.1.11], profiles: [projectcalico-default-allow]',
    ),
    passes: [
      "outside -> host tcp/80",
      "host -> outside tcp/80",
      "host -> server tcp/80",
      "outside -> server tcp/80",
      "client -> outside tcp/80",
    ],
    drops: ["client -> host tcp/80"],
  },
  {
    says: "Of two host endpoints of one interface the first by name counts",
    manifests:
      hostEndpoint("interfaceName: eth0", "b") +
      hostEndpoint("interfaceName: eth0, profiles: [projectcalico-default-allow]", "a"),
    logs: /"endpoint":"b","interfaceName":"eth0".*host endpoint has no effect/,
    passes: ["outside -> host tcp/80"],
  },
  {
    says: "applyOnForward: a policy on what is forwarded, which is otherwise let through",
    manifests: eth0 + hostPolicy(`applyOnForward: true, types: [Ingress], ingress: [${allow80}]`),
    passes: ["outside -> server tcp/80", "outside -> host tcp/80", "client -> outside tcp/81"],
    drops: ["outside -> server tcp/81", "outside -> host tcp/81"],
  },
  {
    says: "applyOnForward: the pod's own policy is asked too",
    manifests:
      eth0 +
      hostPolicy(`applyOnForward: true, types: [Ingress], ingress: [{action: Allow}]`) +
      globalPolicy(
        "selector: app == 'server', types: [Ingress], ingress: [{action: Allow, protocol: TCP, destination: {ports: [82]}}]",
        "pods",
      ),
    passes: ["outside -> server tcp/82"],
    drops: ["outside -> server tcp/80"],
  },
  {
    says: "doNotTrack: what it allows and what it denies, before connections are tracked",
    manifests:
      eth0 +
      hostPolicy(
        `doNotTrack: true, applyOnForward: true, types: [Ingress, Egress], ingress: [${allow80}], egress: [${answers80}]`,
      ),
    passes: ["outside -> host tcp/80", "outside -> server tcp/81"],
    drops: ["outside -> host tcp/81"],
  },
  {
    says: "doNotTrack: what it denies is dropped, forwarded or not, and failsafe ports are not",
    manifests:
      hostEndpoint("interfaceName: eth0, profiles: [projectcalico-default-allow]") +
      hostPolicy(
        `doNotTrack: true, applyOnForward: true, types: [Ingress], ingress: [${deny80}, {action: Deny, protocol: TCP, destination: {ports: [22]}}]`,
      ),
    passes: ["outside -> host tcp/81", "outside -> server tcp/81", "outside -> host tcp/22"],
    drops: ["outside -> host tcp/80", "outside -> server tcp/80"],
  },
  {
    says: "preDNAT: what it allows and denies, before addresses are changed, without a drop at its end",
    manifests:
      hostEndpoint("interfaceName: eth0, profiles: [projectcalico-default-allow]") +
      hostPolicy(`preDNAT: true, applyOnForward: true, types: [Ingress], ingress: [${deny80}]`),
    passes: [
      "outside -> host tcp/81",
      "outside -> server tcp/81",
      "outside -> server.floating tcp/81",
    ],
    drops: [
      "outside -> host tcp/80",
      "outside -> server tcp/80",
      "outside -> server.floating tcp/80",
    ],
  },
  {
    says: "preDNAT sees the address that was asked for",
    manifests:
      hostEndpoint("interfaceName: eth0, profiles: [projectcalico-default-allow]") +
      hostPolicy(
        'preDNAT: true, applyOnForward: true, types: [Ingress], ingress: [{action: Deny, destination: {nets: [192.0.2.2/32]}}, {action: Deny, destination: {nets: ["2001:db8:f::2/128"]}}]',
      ),
    passes: ["outside -> server tcp/80"],
    drops: ["outside -> server.floating tcp/80"],
  },
  {
    says: "Host endpoints are endpoints that rules select",
    manifests:
      hostEndpoint(
        'interfaceName: eth0, profiles: [projectcalico-default-allow], expectedIPs: [192.168.1.11, "2001:db8:1::11"]',
      ) +
      globalPolicy(
        "selector: app == 'client', types: [Egress], egress: [{action: Allow, destination: {selector: role == 'host'}}]",
        "pods",
      ),
    drops: ["client -> server tcp/80", "client -> outside tcp/80"],
  },
  {
    says: "A pod does not reach its own host: defaultEndpointToHostAction is Drop",
    manifests: "",
    drops: ["client -> host tcp/80", "client -> host icmp/echo"],
  },
  {
    says: "A floating address leads to its pod, from outside and from pods",
    manifests: "",
    passes: [
      "outside -> server.floating tcp/80",
      "client -> server.floating tcp/80",
      "client -> server.floating udp/53",
      "server -> server.floating icmp/echo",
    ],
  },
  {
    says: "Policy sees the pod's own address behind a floating one",
    manifests: globalPolicy(
      "selector: app == 'client', types: [Egress], egress: [{action: Allow, destination: {nets: [10.0.0.2/32]}}, {action: Allow, destination: {nets: [\"fd00:10::2/128\"]}}]",
    ),
    passes: ["client -> server.floating tcp/80"],
    drops: ["client -> other tcp/80"],
  },
  {
    says: "A source that is not the pod's own is dropped",
    manifests: "",
    passes: ["client -> server udp/53"],
    drops: ["client.spoofed -> server udp/53", "client.spoofed -> outside udp/53"],
  },
  {
    says: "allowedSourcePrefixes: a source that the pod may use",
    manifests: "",
    changes: {
      "WorkloadEndpoint/prod/node--a-k8s-client-eth0": {
        allowSpoofedSourcePrefixes: ["203.0.113.0/24", "2001:db8:bad::/64"],
      },
    },
    passes: ["client.spoofed -> server udp/53", "client -> server udp/53"],
  },
];
