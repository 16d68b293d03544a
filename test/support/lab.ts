import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { CheckReport } from "../../src/lab/check.ts";
import type { LabStatus } from "../../src/lab/lab-status.ts";

const tortie = fileURLToPath(new URL("../../bin/tortie", import.meta.url));

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A virtual machine without hardware support is some 15 times slower. */
const timeoutMs = process.env["TORTIE_IN_VM"] === undefined ? 280_000 : 3_600_000;

/** Runs a program to its end; the exit code is part of the answer. */
export function run(
  program: string,
  args: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string>>;
    readonly input?: string;
    /** Default: 280 seconds, in a virtual machine an hour. */
    readonly timeoutMs?: number;
  } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...options.env };
    const settings = { env, maxBuffer: 64 << 20, timeout: options.timeoutMs ?? timeoutMs };
    const child = execFile(program, [...args], settings, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== "number") reject(error);
      else resolve({ code: error === null ? 0 : (error.code as number), stdout, stderr });
    });
    // A program may end without reading what it is given.
    child.stdin?.on("error", () => undefined);
    if (options.input !== undefined) child.stdin?.end(options.input);
  });
}

/** A lab of its own name and state folder, driven through bin/tortie as a user would. */
export class TestLab {
  readonly name: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #folder = mkdtempSync(join(tmpdir(), "tortie-lab-"));
  #datastore: Record<string, string> | undefined;

  /** `env` reaches the nodes too, as far as it is Felix's parameters. */
  constructor(name: string, env: Readonly<Record<string, string>> = {}) {
    this.name = `t${process.pid}${name}`;
    this.#env = env;
  }

  get folder(): string {
    return this.#folder;
  }

  lab(...args: readonly string[]): Promise<Ran> {
    const [command = "", ...rest] = args;
    return run(tortie, ["lab", command, "--lab", this.name, ...rest], {
      env: { ...this.#env, TORTIE_LAB_DIR: this.#folder },
    });
  }

  /** As `lab`, but a failure throws with the program's words. */
  async mustLab(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.lab(...args);
    if (code !== 0) throw new Error(`lab ${args.join(" ")}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  async status(): Promise<LabStatus> {
    return JSON.parse(await this.mustLab("status", "--json")) as LabStatus;
  }

  async check(): Promise<CheckReport> {
    return JSON.parse((await this.lab("check", "--json")).stdout) as CheckReport;
  }

  /** The CLI on the lab's datastore. */
  async cli(args: readonly string[], input?: string): Promise<Ran> {
    if (this.#datastore === undefined) {
      const exports = await this.mustLab("env");
      this.#datastore = Object.fromEntries(
        [...exports.matchAll(/^export (\w+)=(.*)$/gm)].map(([, key = "", value = ""]) => [
          key,
          value,
        ]),
      );
    }
    return run(tortie, args, {
      env: this.#datastore,
      ...(input === undefined ? {} : { input }),
    });
  }

  async apply(manifest: string): Promise<void> {
    const { code, stdout, stderr } = await this.cli(["apply", "-f", "-"], manifest);
    if (code !== 0) throw new Error(`apply: exit ${code}\n${stdout}${stderr}`);
  }

  /** Runs a program in a namespace of the lab; throws when it fails. */
  async inside(netns: string, ...command: readonly string[]): Promise<string> {
    const args = [`--net=/run/netns/${netns}`, "--", ...command];
    const { code, stdout, stderr } = await run("nsenter", args);
    if (code !== 0) throw new Error(`${command.join(" ")}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  async down(): Promise<void> {
    await this.lab("down");
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A program that runs in a namespace until it is stopped; what it printed is kept. */
export class Background {
  readonly #child: ReturnType<typeof spawn>;
  readonly #ended: Promise<void>;
  /** Both streams, as they came. */
  output = "";
  /** Standard output alone: `ip monitor` complains on the other of namespaces that strangers remove. */
  printed = "";

  /** @param netns - its name under /run/netns, or its path. */
  constructor(netns: string, ...command: readonly string[]) {
    const path = netns.startsWith("/") ? netns : `/run/netns/${netns}`;
    this.#child = spawn("nsenter", [`--net=${path}`, "--", ...command], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const take = (chunk: Buffer) => {
      this.output += chunk.toString();
    };
    this.#child.stdout?.on("data", (chunk: Buffer) => {
      this.printed += chunk.toString();
      take(chunk);
    });
    this.#child.stderr?.on("data", take);
    this.#ended = new Promise((resolve) => this.#child.on("close", () => resolve()));
  }

  /** Waits for its own end. */
  async end(): Promise<string> {
    await this.#ended;
    return this.output;
  }

  async stop(signal: NodeJS.Signals = "SIGINT"): Promise<string> {
    this.#child.kill(signal);
    return this.end();
  }
}
