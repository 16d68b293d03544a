import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { PeerConfig } from "../../src/bgp/peer/peer.ts";
import type { Asn } from "../../src/lib/asn.ts";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
import { waitFor } from "../support/wait-for.ts";
import type { BfdAgentConfig, BfdAgentReport } from "./bfd-agent.ts";

/** bfd-agent.ts in a namespace. */
export interface BfdNode {
  readonly reports: readonly BfdAgentReport[];
  /** The next report whose kind and text begin so, after the last of its kind that was waited for. */
  readonly next: (words: string, timeoutMs?: number) => Promise<BfdAgentReport>;
  readonly busy: (ms: number) => void;
  /** It hangs from now on. */
  readonly pause: () => void;
  /** Ends it as a shutdown does, and waits. */
  readonly stop: () => Promise<void>;
}

export function startBfdNode(t: TestContext, namespace: string, config: BfdAgentConfig): BfdNode {
  const program = fileURLToPath(new URL("bfd-agent.ts", import.meta.url));
  const args = ["netns", "exec", namespace, process.execPath, program, JSON.stringify(config)];
  const child = spawn("ip", args, { stdio: ["pipe", "pipe", "inherit"] });
  const exit = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  t.after(async () => {
    child.kill("SIGKILL");
    await exit;
  });
  const reports: BfdAgentReport[] = [];
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    const lines = (text + chunk.toString()).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) reports.push(JSON.parse(line) as BfdAgentReport);
  });
  const seen = new Map<string, number>();
  return {
    reports,
    next: (words, timeoutMs = 8000) =>
      waitFor(
        () => {
          const [kind = ""] = words.split(" ");
          const from = seen.get(kind) ?? 0;
          const at = reports.findIndex(
            (report, index) => index >= from && `${report.kind} ${report.text}`.startsWith(words),
          );
          if (at < 0) return undefined;
          seen.set(kind, at + 1);
          return reports[at];
        },
        { timeoutMs, what: `"${words}"` },
      ),
    busy: (ms) => child.stdin.write(`busy ${ms}\n`),
    pause: () => child.kill("SIGSTOP"),
    stop: async () => {
      child.kill("SIGTERM");
      await exit;
    },
  };
}

/**
 * The path was given up because of silence, not sooner than the Detection Time and not much later. The
 * time is that of the thread that watches; the factor is for a machine that has much else to do.
 */
export function assertDetected(
  { text, silentMs = Number.NaN }: BfdAgentReport,
  detectionMs: number,
): void {
  assert.match(text, /^down: Control Detection Time Expired/);
  assert.ok(silentMs >= detectionMs * 0.99, `after ${silentMs} ms`);
  assert.ok(silentMs < detectionMs * 5, `after ${silentMs} ms`);
}

export const bfd300: NonNullable<PeerConfig["bfd"]> = {
  minReceiveMs: 300,
  minTransmitMs: 300,
  multiplier: 3,
  multihop: false,
};

/** A session with the daemon at 10.99.0.2, of one AS. */
export function peerConfig(changes: Partial<PeerConfig> = {}): PeerConfig {
  return {
    name: "Node_10_99_0_2",
    address: "10.99.0.2" as IpAddr,
    port: 179,
    remoteAs: 64512 as Asn,
    localAs: 64512 as Asn,
    localRouterId: 0x0a630001,
    localAddress: "10.99.0.1" as IpAddr,
    passive: false,
    holdSeconds: 90,
    connectRetrySeconds: 1,
    families: [4],
    gracefulRestartSeconds: 120,
    bfd: bfd300,
    ...changes,
  };
}
