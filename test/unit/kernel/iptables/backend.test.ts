import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ExecError, type HelperProgram } from "../../../../src/kernel/exec-helper.ts";
import { detectBackend } from "../../../../src/kernel/iptables/backend.ts";

interface Host {
  /** Output of --version by program; one that is not here is not installed. */
  readonly versions: Readonly<Record<string, string>>;
  /** Save output by program, of all tables. */
  readonly saves?: Readonly<Record<string, string>>;
}

function execOf({ versions, saves = {} }: Host) {
  return {
    run: async (program: HelperProgram, args: readonly string[]) => {
      if (args[0] === "--version") {
        const stdout = versions[program];
        if (stdout === undefined) throw new ExecError("no", { code: "not-found", program });
        return { code: 0, stdout, stderr: "" };
      }
      return { code: 0, stdout: saves[program] ?? "", stderr: "" };
    },
  };
}

const nft = "iptables v1.8.9 (nf_tables)\n";
const legacy = "iptables v1.8.9 (legacy)\n";
const both = { "iptables-nft-restore": nft, "iptables-legacy-restore": legacy };
const loaded = (): boolean => true;

describe("detectBackend()", () => {
  const rows: readonly (readonly [name: string, host: Host, kind: string])[] = [
    [
      "takes the host's own on an empty host",
      { versions: { ...both, "iptables-restore": nft } },
      "nft",
    ],
    [
      "takes the host's own on an empty host (legacy)",
      { versions: { ...both, "iptables-restore": legacy } },
      "legacy",
    ],
    [
      "follows kubelet's hint in legacy, of IPv6 alone",
      {
        versions: { ...both, "iptables-restore": nft },
        saves: {
          "ip6tables-legacy-save": ":KUBE-KUBELET-CANARY - [0:0]",
          "iptables-nft-save": "-A\n-A",
        },
      },
      "legacy",
    ],
    [
      "follows kubelet's hint in nft first",
      {
        versions: { ...both, "iptables-restore": legacy },
        saves: {
          "iptables-nft-save": ":KUBE-IPTABLES-HINT - [0:0]",
          "iptables-legacy-save": ":KUBE-IPTABLES-HINT - [0:0]",
        },
      },
      "nft",
    ],
    [
      "takes the one with more rules",
      {
        versions: { ...both, "iptables-restore": nft },
        saves: { "iptables-nft-save": "-A a", "iptables-legacy-save": "-A a\n-A b" },
      },
      "legacy",
    ],
    ["takes the only one there is", { versions: { "iptables-legacy-restore": legacy } }, "legacy"],
  ];
  for (const [name, host, kind] of rows) {
    test(name, async () => {
      const backend = await detectBackend(execOf(host), "auto", loaded);
      assert.equal(backend.kind, kind);
      assert.equal(backend.variant, `-${kind}`);
    });
  }

  test("does not ask legacy when its modules are not loaded", async () => {
    const saves = { "iptables-legacy-save": "-A a\n-A b" };
    const host = { versions: { ...both, "iptables-restore": nft }, saves };
    assert.equal((await detectBackend(execOf(host), "auto", () => false)).kind, "nft");
  });

  test("uses plain commands where there are no variants, and knows what old ones cannot do", async () => {
    const backend = await detectBackend(
      execOf({ versions: { "iptables-restore": "iptables v1.4.21\n" } }),
    );
    assert.deepEqual(backend, {
      kind: "legacy",
      variant: "",
      version: "1.4.21",
      features: { snatFullyRandom: false, masqFullyRandom: false, restoreWait: false },
    });
  });

  test("a configured backend wins, and one that is not there is refused", async () => {
    const host = { versions: { ...both, "iptables-restore": nft } };
    assert.equal((await detectBackend(execOf(host), "legacy", loaded)).kind, "legacy");
    const only = { versions: { "iptables-nft-restore": nft, "iptables-restore": nft } };
    await assert.rejects(
      detectBackend(execOf(only), "legacy", loaded),
      /backend legacy: its programs/,
    );
    await assert.rejects(detectBackend(execOf({ versions: {} })), /not installed/);
  });
});
