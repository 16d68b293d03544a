import assert from "node:assert/strict";
import { test } from "node:test";
import type { SpeakerConfig } from "../../../../src/bgp/config/speaker-config.ts";
import { why, whyNot } from "../../../../src/bgp/speaker/explain.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { type Host, Network } from "./network.ts";
import { type PlainPeer, plainSpeaker } from "./plain.ts";

const prefix = parsePrefix("10.1.0.0/24");

/** Speakers by name with AS, neighbors by name, and what else their configuration says. */
type Sketch = Readonly<
  Record<
    string,
    {
      readonly asn: number;
      readonly to: Readonly<Record<string, Omit<PlainPeer, "address" | "asn">>>;
      readonly more?: Partial<SpeakerConfig>;
    }
  >
>;

function speakers(sketch: Sketch): Network {
  const network = new Network();
  const names = Object.keys(sketch);
  const addressOf = (name: string) => `192.168.1.${names.indexOf(name) + 1}`;
  for (const name of names) network.add(name, addressOf(name));
  configure(network, sketch);
  network.connect();
  return network;
}

function configure(network: Network, sketch: Sketch): void {
  const addressOf = (name: string) => network.host(name).address;
  for (const [name, { asn, to, more }] of Object.entries(sketch)) {
    const neighbors = Object.entries(to).map(([other, options]) => ({
      ...options,
      address: addressOf(other),
      asn: sketch[other]?.asn ?? 0,
    }));
    const own = { address: addressOf(name), asn };
    network.host(name).post({ kind: "configured", config: plainSpeaker(own, neighbors, more) });
  }
}

const pathAt = (host: Host, at = prefix) => why(host.speaker, at)?.paths[0];

const originatedRoutes = [
  {
    prefix,
    nextHop: "self",
    communities: [65001 * 65536 + 1, [1, 2, 3]],
    med: 5,
    localPref: 300,
  },
] as const;

test("A reflector that installs nothing passes on every route, with its originator and cluster", () => {
  const nextHop = parseIpAddr("203.0.113.9");
  const network = speakers({
    one: {
      asn: 65001,
      to: { reflector: {} },
      more: { originatedRoutes: [{ prefix, nextHop, communities: [] }] },
    },
    reflector: {
      asn: 65001,
      to: { one: { client: true }, two: { client: true } },
      more: { install: false, clusterId: 7 },
    },
    two: { asn: 65001, to: { reflector: {} }, more: { install: false } },
  });
  const { nextHop: hop, attributes } = pathAt(network.host("two")) ?? {};
  assert.equal(hop, nextHop);
  assert.deepEqual([attributes?.originatorId, attributes?.clusterList], [0xc0a80101, [7]]);
  const reflector = network.host("reflector");
  assert.equal(reflector.routes.size, 0);
  assert.equal(why(reflector.speaker, prefix)?.kernel, "none: not-installed");
});

test("What a file originates is told with its attributes, and is no route here", () => {
  const network = speakers({
    one: { asn: 65001, to: { inside: {}, outside: {} }, more: { originatedRoutes } },
    inside: { asn: 65001, to: { one: {} } },
    outside: { asn: 65002, to: { one: {} } },
  });
  const attributesAt = (name: string) => pathAt(network.host(name))?.attributes;
  const { communities, largeCommunities, med, localPref } = attributesAt("inside") ?? {};
  assert.deepEqual([communities, largeCommunities], [[65001 * 65536 + 1], [[1, 2, 3]]]);
  assert.deepEqual([med, localPref], [5, 300]);
  assert.deepEqual(
    [attributesAt("outside")?.med, attributesAt("outside")?.localPref],
    [5, undefined],
  );
  assert.equal(network.host("one").routes.size, 0);
  assert.equal(network.host("inside").routeTo(prefix), "via 192.168.1.1");
});

test("A speaker that installs no more takes its routes out of the kernel", () => {
  const sketch: Sketch = {
    one: { asn: 65001, to: { two: {} }, more: { originatedRoutes } },
    two: { asn: 65001, to: { one: {} }, more: { table: 100 } },
  };
  const network = speakers(sketch);
  const two = network.host("two");
  assert.equal(two.routes.get(prefix)?.table, 100);
  const { two: before } = sketch;
  assert.ok(before !== undefined);
  configure(network, { ...sketch, two: { ...before, more: { install: false } } });
  network.settle();
  assert.equal(two.routes.size, 0);
});

test("Routes with NO_EXPORT stay in the AS, BLACKHOLE is a community like others", () => {
  const told = (community: number) => {
    const network = speakers({
      one: {
        asn: 65001,
        to: { two: {} },
        more: { originatedRoutes: [{ prefix, nextHop: "self", communities: [community] }] },
      },
      two: { asn: 65001, to: { one: {}, three: {} } },
      three: { asn: 65002, to: { two: {} } },
    });
    const because = whyNot(network.host("two").speaker, prefix, "Static_192_168_1_3").because;
    return [because, pathAt(network.host("three"))?.attributes.communities];
  };
  assert.deepEqual(told(0xffffff01), ["export step no-export", undefined]);
  assert.deepEqual(told(0xffffff03), ["export step no-export", undefined]);
  assert.deepEqual(told(0xffff029a), ["export step scope-all", [0xffff029a]]);
});

test("A peer with defaultOriginate, and no other, is told of a default route", () => {
  const sketch: Sketch = {
    one: { asn: 65001, to: { two: { policy: { defaultOriginate: [4] } }, three: {} } },
    two: { asn: 65002, to: { one: {} } },
    three: { asn: 65003, to: { one: {} } },
  };
  const network = speakers(sketch);
  const all = parsePrefix("0.0.0.0/0");
  const [one, two] = [network.host("one"), network.host("two")];
  assert.equal(two.routeTo(all), "via 192.168.1.1");
  assert.equal(pathAt(network.host("three"), all), undefined);
  assert.equal(one.routes.size, 0);
  assert.equal(whyNot(one.speaker, all, "Static_192_168_1_2").because, "defaultOriginate");
  assert.deepEqual(one.verdicts(all), {
    local: "rejected: only for peers with defaultOriginate",
  });
  const { one: before } = sketch;
  assert.ok(before !== undefined);
  configure(network, { ...sketch, one: { ...before, to: { two: {}, three: {} } } });
  network.settle();
  assert.equal(two.routeTo(all), undefined);
  assert.equal(one.speaker.families[4].rib.table.size, 0);
  assert.equal(one.speaker.attributes.size, 0);
});

test("A node that drains is routed around, and used again when it stays after all", () => {
  const network = speakers({
    one: { asn: 65001, to: { away: {} }, more: { originated: [prefix] } },
    two: { asn: 65001, to: { away: {} }, more: { originated: [prefix] } },
    away: { asn: 65002, to: { one: {}, two: {} }, more: { maxPaths: 1 } },
  });
  const [one, away] = [network.host("one"), network.host("away")];
  assert.equal(away.routeTo(prefix), "via 192.168.1.1");
  const { config } = one.speaker;
  assert.ok(config !== undefined);
  one.post({ kind: "configured", config: { ...config, draining: true } });
  network.settle();
  assert.equal(away.routeTo(prefix), "via 192.168.1.2");
  const [drained] =
    why(away.speaker, prefix)?.paths.filter(({ verdict }) => verdict === "lost") ?? [];
  assert.deepEqual([drained?.attributes.communities, drained?.by], [[0xffff0000], "local-pref"]);
  one.post({ kind: "configured", config });
  network.settle();
  assert.equal(away.routeTo(prefix), "via 192.168.1.1");
});

test("Equal paths share one route in the kernel, of iBGP and of eBGP, up to maxPaths", () => {
  const shared = (asn: number, maxPaths?: number) => {
    const network = speakers({
      one: { asn: 65001, to: { away: {} }, more: { originated: [prefix] } },
      two: { asn: 65001, to: { away: {} }, more: { originated: [prefix] } },
      three: { asn: 65001, to: { away: {} }, more: { originated: [prefix] } },
      away: {
        asn,
        to: { one: {}, two: {}, three: {} },
        more: maxPaths === undefined ? {} : { maxPaths },
      },
    });
    return network.host("away").routeTo(prefix);
  };
  assert.equal(shared(65002), "via 192.168.1.1, 192.168.1.2, 192.168.1.3");
  assert.equal(shared(65001), "via 192.168.1.1, 192.168.1.2, 192.168.1.3");
  assert.equal(shared(65001, 2), "via 192.168.1.1, 192.168.1.2");
  assert.equal(shared(65001, 1), "via 192.168.1.1");
});
