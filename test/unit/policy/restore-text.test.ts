import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import type { Rule } from "../../../src/api/resources/rule.ts";
import { InputError } from "../../../src/lib/errors.ts";
import {
  endpointSlice,
  globalPolicy,
  hostEndpoint,
  me,
  networkSet,
  pod,
  policy,
  profile,
  tier,
} from "../../states/resources.ts";
import { nodeTexts } from "../../support/iptables/node-rules.ts";
import { parseRule } from "../../support/iptables/rule-text.ts";

/*
 * No string of a resource can leave its place in the text that goes to iptables-restore: whatever names,
 * annotations and prefixes are, the rules are the same but for names and comments.
 */

/** Strings of a resource that come near the text, each another one. */
function cluster(strings: readonly string[]): AnyResource[] {
  const [name = "", namespace = "", tierName = "", profileName = "", key = "", value = ""] =
    strings;
  const rule = { action: "Log" as const, metadata: { annotations: { [key]: value } } };
  const deny = { ...rule, action: "Deny" as const, protocol: "UDP" };
  const spec = { tier: tierName, order: 1, ingress: [rule, deny], egress: [rule] };
  return [
    pod("web", { ip: "10.0.0.1/32", namespace, profiles: [profileName] }),
    profile(profileName, { ingress: [rule, { action: "Allow" }] }),
    tier(tierName, { order: 1 }),
    policy(name, spec, namespace),
    globalPolicy(name, { ...spec, order: 2 }),
    configuration({ logPrefix: `${value}%n%t%k%p${key}` }),
  ];
}

/**
 * Strings where a resource has words that mean something: what is not understood may be left out, but no
 * rule may come of it that the harmless ones do not make.
 */
function meaningful(strings: readonly string[]): AnyResource[] {
  const [word = "", label = "", value = "", link = "", port = ""] = strings;
  const rules: Rule[] = [
    { action: "Allow", protocol: "TCP", destination: { ports: [port, 80] } },
    { action: "Deny", source: { selector: `${label} == '${value}'` } },
    { action: "Deny", source: { selector: word, notSelector: `has(${label})` } },
    { action: "Deny", source: { namespaceSelector: `${label} != "${value}"` } },
    { action: "Deny", source: { serviceAccounts: { names: [word], selector: word } } },
    { action: "Allow", destination: { services: { name: word, namespace: value } } },
    { action: "Deny", protocol: word },
    { action: "Deny", notProtocol: word },
    { action: "Deny", source: { nets: [word], notNets: [value] } },
    { action: word as Rule["action"] },
  ];
  const each = rules.map((rule, index) =>
    globalPolicy(`p${index}`, { ingress: [rule], egress: [rule] }),
  );
  const labels = { [label]: value };
  const host = { interfaceName: link, labels, profiles: [word] };
  return [
    pod("web", { ip: "10.0.0.1/32", labels, profiles: [word], interfaceName: `cali${link}` }),
    pod("named", { ip: "10.0.0.2/32", ports: [{ name: port, protocol: "TCP", port: 80 }] }),
    pod("nat", { ip: "10.0.0.3/32", ipNATs: [{ internalIP: "10.0.0.3", externalIP: word }] }),
    pod("spoof", { ip: "10.0.0.4/32", allowSpoofedSourcePrefixes: [word] }),
    hostEndpoint(word, host),
    hostEndpoint("by-address", { expectedIPs: [word] }),
    networkSet(word, [value], { namespace: word, labels }),
    endpointSlice(word, `${value}/${word}`, {
      addresses: ["10.0.0.1"],
      ports: [{ protocol: "TCP", port: 80 }],
    }),
    profile(word, { labelsToApply: labels, ingress: rules }),
    globalPolicy(word, { selector: word, applyOnForward: true, ingress: [{ action: "Deny" }] }),
    globalPolicy("place", {
      selector: "all()",
      applyOnForward: true,
      ingress: [{ action: "Pass" }],
    }),
    ...each,
    configuration({ floatingIPs: "Enabled", workloadSourceSpoofing: "Any" }),
  ];
}

function configuration(spec: Readonly<Record<string, unknown>>): AnyResource {
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "FelixConfiguration",
    metadata: { name: "default" },
    spec,
  };
}

/** Whatever a hostile or clumsy author could write. */
const hostile = fc.oneof(
  fc.string({ unit: "binary", minLength: 1, maxLength: 300 }),
  fc
    .array(
      fc.constantFrom(
        '"',
        "'",
        "\\",
        "\n",
        "\r",
        "\0",
        "\t",
        " ",
        "#",
        "COMMIT\n",
        "\n-F\n",
        '" --jump ACCEPT',
        "' -j ACCEPT",
        '\\" -j ACCEPT',
        "*filter\n",
        "\u2028",
        "\u0085",
        "ÿ",
        "\ud800",
        "日本",
        "%n",
        "$(reboot)",
        "x".repeat(60),
      ),
      { minLength: 1, maxLength: 12 },
    )
    .map((parts) => parts.join("")),
);

/** Lines as what they do: the command, how many tests, which target. */
async function shapeOf(
  resources: readonly AnyResource[],
  onRefused?: () => void,
): Promise<string[]> {
  const { texts, sets } = await nodeTexts(me, resources, 4, onRefused);
  for (const name of sets.keys()) assert.match(name, /^cali40[\w:-]{1,25}$/);
  return texts.flatMap((text) => text.split("\n").map(lineShape)).sort();
}

function lineShape(line: string): string {
  assert.match(line, /^[\x20-\x7e]*$/, "only printable ASCII");
  const rule = /^(-[AI]) ([\w.:/+=@-]{1,28}) (.*)$/.exec(line);
  if (rule === null) {
    assert.match(line, /^(\*(raw|mangle|nat|filter)|COMMIT|:[\w.:/+=@-]{1,28} - \[0:0\]|)$/);
    return line.startsWith(":") ? ":" : line;
  }
  const [, command, , body = ""] = rule;
  const { tests, target } = parseRule(withoutNat(body));
  return `${command} ${tests.length} ${target.kind}`;
}

/** The interpreter knows no NAT; what stands before the target is checked all the same. */
function withoutNat(body: string): string {
  return body.replace(/ --jump (MASQUERADE|SNAT|DNAT) .*$/, " --jump ACCEPT");
}

test("no string of a resource leaves its place in restore text", async () => {
  const harmless = await shapeOf(cluster(["name", "namespace", "tier", "profile", "key", "value"]));
  assert.ok(harmless.length > 50);
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(hostile, { minLength: 6, maxLength: 6 }), async (strings) =>
      assert.deepEqual(await shapeOf(cluster(strings)), harmless),
    ),
    { numRuns: 50 },
  );
});

test("words that mean something leave rules out, and make none that others do not", async () => {
  const harmless = ["word", "label", "value", "link", "port"];
  const known = new Set(await shapeOf(meaningful(harmless), () => undefined));
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(hostile, { minLength: 5, maxLength: 5 }), async (strings) => {
      const shapes = await shapeOf(meaningful(strings), () => undefined);
      assert.deepEqual(
        shapes.filter((shape) => !known.has(shape)),
        [],
      );
      assert.ok(shapes.length > 50);
    }),
    { numRuns: 50 },
  );
});

/** Parameters whose words come near the text. */
const parameters = [
  "interfacePrefix",
  "iptablesNATOutgoingInterfaceFilter",
  "logPrefix",
  "natOutgoingAddress",
  "natPortRange",
  "iptablesFilterAllowAction",
  "iptablesFilterDenyAction",
  "defaultEndpointToHostAction",
  "failsafeInboundHostPorts",
  "serviceLoopPrevention",
];

test("a parameter of felix is refused, or makes the rules that another word makes", async () => {
  const shapesOf = (name: string, word: string) =>
    shapeOf([configuration({ [name]: word, floatingIPs: "Enabled" })]);
  const known = new Map<string, Set<string>>();
  for (const name of parameters) {
    const shapes = await shapesOf(name, "word").catch(ifRefused);
    known.set(name, new Set(shapes ?? []));
  }
  const any = fc.constantFrom(...parameters);
  await fc.assert(
    fc.asyncProperty(any, hostile, async (name, word) => {
      const shapes = (await shapesOf(name, word).catch(ifRefused)) ?? [];
      assert.deepEqual(
        shapes.filter((shape) => known.get(name)?.has(shape) !== true),
        [],
      );
    }),
    { numRuns: 200 },
  );
});

function ifRefused(error: unknown): undefined {
  if (!(error instanceof InputError)) throw error;
}
