import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { globalPolicy, me, pod, policy, profile, tier } from "../../states/resources.ts";
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
    {
      apiVersion: "projectcalico.org/v3",
      kind: "FelixConfiguration",
      metadata: { name: "default" },
      spec: { logPrefix: `${value}%n%t%k%p${key}` },
    },
  ];
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
async function shapeOf(strings: readonly string[]): Promise<string[]> {
  const { texts } = await nodeTexts(me, cluster(strings), 4);
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
  const harmless = await shapeOf(["name", "namespace", "tier", "profile", "key", "value"]);
  assert.ok(harmless.length > 50);
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(hostile, { minLength: 6, maxLength: 6 }), async (strings) =>
      assert.deepEqual(await shapeOf(strings), harmless),
    ),
    { numRuns: 50 },
  );
});
