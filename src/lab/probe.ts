import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { netnsPath } from "./fabric.ts";

/** What one namespace is asked to do (src/lab/probe-agent.ts does it). */
export type ProbeRequest =
  | {
      readonly op: "listen";
      readonly ports: readonly { readonly port: number; readonly protocol: "TCP" | "UDP" }[];
    }
  | ({ readonly op: "probe"; readonly timeoutMs: number } & ProbeTarget);

export interface ProbeTarget {
  readonly protocol: ProbeProtocol;
  readonly address: string;
  /** 0 for ICMP. */
  readonly port: number;
}

export type ProbeProtocol = "ICMP" | "TCP" | "UDP";

export interface ProbeAnswer {
  readonly ok: boolean;
  /** The source address that the other side saw, for TCP and UDP. */
  readonly seenAs?: string;
  readonly error?: string;
}

const agentFile = fileURLToPath(new URL("./probe-agent.ts", import.meta.url));

/** A process inside one namespace that opens listeners and probes others, until it is closed. */
export class ProbeAgent {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: ProbeAnswer) => void>();
  #nextId = 1;

  constructor(netns: string) {
    this.#child = spawn("nsenter", [`--net=${netnsPath(netns)}`, process.execPath, agentFile], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    if (this.#child.stdout === null) throw new Error(`Cannot start a probe in ${netns}`);
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const { id, ...answer } = JSON.parse(line) as ProbeAnswer & { id: number };
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
    this.#child.on("exit", (code) => {
      for (const settle of this.#waiting.values()) {
        settle({ ok: false, error: `the probe in ${netns} exited with ${code}` });
      }
      this.#waiting.clear();
    });
    this.#child.stdin?.on("error", () => this.#child.kill());
  }

  ask(request: ProbeRequest): Promise<ProbeAnswer> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.stdin?.write(`${JSON.stringify({ id, ...request })}\n`);
    });
  }

  close(): void {
    this.#child.stdin?.end();
  }
}
