import assert from "node:assert/strict";
import { test } from "node:test";
import { calicoApiVersion } from "../../src/api/meta.ts";
import { TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

/** The legacy backend says nothing when it changes: felix looks by itself. */
test("felix goes from nft to legacy and leaves IPv6, repairs its chains, and nothing old is left", async () => {
  const lab = new TestLab("l", { FELIX_IPTABLESREFRESHINTERVAL: "2" });
  const configure = (spec: object) => {
    const [apiVersion, kind] = [calicoApiVersion, "FelixConfiguration"];
    return lab.apply(JSON.stringify({ apiVersion, kind, metadata: { name: "default" }, spec }));
  };
  try {
    await lab.mustLab("up", "--nodes", "1", "--pods", "2");
    const { netns, pids } = (await lab.status()).nodes[0] ?? assert.fail("no node");
    const rules = (program: string) => lab.inside(netns, program, "-S");
    const has = async (program: string) => (await rules(program)).includes("-A cali-FORWARD");
    await configure({ iptablesBackend: "NFT" });
    await waitFor(() => has("iptables-nft"), { what: "rules of nft" });
    await configure({ iptablesBackend: "Legacy" });
    await waitFor(() => has("iptables-legacy"), { what: "rules of legacy" });
    await waitFor(async () => !/cali/.test(await rules("iptables-nft")), {
      what: "no rules of nft",
    });
    await lab.inside(netns, "iptables-legacy", "-F", "cali-FORWARD");
    await waitFor(() => has("iptables-legacy"), { what: "the chain" });
    assert.ok(await has("ip6tables-legacy"));
    await configure({ iptablesBackend: "Legacy", ipv6Support: false });
    await waitFor(async () => !/cali/.test(await rules("ip6tables-legacy")), {
      what: "no rules of IPv6",
    });
    assert.deepEqual((await lab.status()).nodes[0]?.pids, pids);
    assert.deepEqual((await lab.check()).mismatches, []);
  } finally {
    await lab.down();
  }
});
