import assert from "node:assert/strict";
import { test } from "node:test";
import { renderChain } from "../../../../src/kernel/iptables/rendered-chain.ts";
import { ruleHashes } from "../../../../src/kernel/iptables/rule-hash.ts";

const chain = "cali-tw-calidemo0000001";

test("ruleHashes() gives Calico's hashes (facts B #22, #23)", () => {
  const texts = [
    `-A ${chain} HASH -m conntrack --ctstate RELATED,ESTABLISHED --jump ACCEPT`,
    `-A ${chain} HASH -m conntrack --ctstate INVALID --jump DROP`,
  ];
  assert.deepEqual(ruleHashes(chain, texts), ["H--d2Y1JBrmPzhtC", "kEIJD4FjxGNJAwzD"]);
});

test("renderChain() renders those rules to just that text", () => {
  const rendered = renderChain(
    {
      name: chain,
      rules: [
        {
          match: [{ kind: "conntrackState", states: ["RELATED", "ESTABLISHED"] }],
          action: { kind: "accept" },
        },
        { match: [{ kind: "conntrackState", states: ["INVALID"] }], action: { kind: "drop" } },
      ],
    },
    { snatFullyRandom: true, masqFullyRandom: true, restoreWait: true },
  );
  assert.deepEqual(rendered.hashes, ["H--d2Y1JBrmPzhtC", "kEIJD4FjxGNJAwzD"]);
  assert.equal(
    rendered.bodies[0],
    '-m comment --comment "cali:H--d2Y1JBrmPzhtC" -m conntrack --ctstate RELATED,ESTABLISHED --jump ACCEPT',
  );
});

test("ruleHashes() of separate rules do not depend on one another", () => {
  const before = ruleHashes(chain, ["a", "b"], true);
  assert.deepEqual(ruleHashes(chain, ["x", "b", "a"], true).slice(1), before.toReversed());
  assert.equal(before[0], ruleHashes(chain, ["a"])[0]);
});

test("ruleHashes() changes all hashes behind a changed rule, none before it", () => {
  const before = ruleHashes(chain, ["a", "b", "c"]);
  const after = ruleHashes(chain, ["a", "x", "c"]);
  assert.deepEqual(
    before.map((hash, i) => hash === after[i]),
    [true, false, false],
  );
  assert.notEqual(ruleHashes("other", ["a"])[0], before[0]);
});
