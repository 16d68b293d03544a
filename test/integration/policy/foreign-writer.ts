import { type ChildProcess, spawn } from "node:child_process";
import { inside } from "../felix-node.ts";

/**
 * A program that writes iptables all the time, as kube-proxy and Docker do: it restores chains of its own
 * that it has read before, and takes its jump out and puts it in again.
 */
export class ForeignWriter {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #netns: string;
  readonly #backend: string;
  #writes = 0;

  constructor(netns: string, backend: "nft" | "legacy") {
    this.#netns = netns;
    this.#backend = backend;
    this.#child = spawn("ip", ["netns", "exec", netns, "sh", "-ec", script(backend)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child.stdout?.on("data", (piece: Buffer) => {
      this.#writes += piece.toString().split("\n").length - 1;
    });
    this.#ended = new Promise((resolve) => this.#child.on("close", () => resolve()));
  }

  /** Rounds of two writes. */
  get writes(): number {
    return this.#writes;
  }

  /** Ends it, and gives its rules as they are then. */
  async stop(): Promise<string[]> {
    this.#child.kill();
    await this.#ended;
    return inside(this.#netns, `iptables-${this.#backend}-save`, ["-t", "filter"])
      .split("\n")
      .filter((line) => line.includes("FOREIGN"))
      .sort();
  }
}

function script(backend: string): string {
  const tables = `iptables-${backend}`;
  return `
${tables} -N FOREIGN; ${tables} -N FOREIGN-SERVICES
n=0
while true; do
  n=$((n + 1))
  printf '*filter\\n:FOREIGN-SERVICES - [0:0]\\n-A FOREIGN-SERVICES -d 198.51.100.%d -j REJECT\\n-A FOREIGN-SERVICES -m comment --comment round -j RETURN\\nCOMMIT\\n' $((n % 250)) |
    ${tables}-restore --noflush --wait 10
  ${tables} -w 10 -I FORWARD -j FOREIGN
  ${tables}-save -t filter >/dev/null 2>&1 || true
  ${tables} -w 10 -D FORWARD -j FOREIGN
  echo
done`;
}
