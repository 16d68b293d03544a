import { allow, fromClient, toServer } from "./calico-manifests.ts";
import type { PolicyCase } from "./policy-case.ts";

/** What a rule may match (facts 2.5, 4.3, 4.4, 4.6, appendix D 24 to 30). */

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

export const ruleCases: readonly PolicyCase[] = [...protocols, ...ports, ...nets];
