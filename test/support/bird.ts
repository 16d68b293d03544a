import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { waitFor } from "./wait-for.ts";

const run = promisify(execFile);
const birdProgram = "/usr/sbin/bird";

/** Why interop tests with BIRD cannot run here; false when they can. */
export function cannotRunBird(): string | false {
  if (!existsSync(birdProgram)) return "BIRD 2 is not installed";
  return process.getuid?.() === 0 ? false : "network namespaces need root";
}

/** Two network namespaces joined by a link: 10.99.0.1 and fd99::1 in `a`, .2 and ::2 in `b`. */
export interface NamespacePair {
  readonly a: string;
  readonly b: string;
  readonly remove: () => Promise<void>;
}

export async function makeNamespacePair(name: string): Promise<NamespacePair> {
  const [a, b] = [`tt-${process.pid}-${name}a`, `tt-${process.pid}-${name}b`];
  const remove = async () => {
    for (const namespace of [a, b]) await run("ip", ["netns", "del", namespace]).catch(() => "");
  };
  try {
    await run("ip", ["netns", "add", a]);
    await run("ip", ["netns", "add", b]);
    await run("ip", ["-n", a, ..."link add eth0 type veth peer name eth0 netns".split(" "), b]);
    for (const [namespace, host] of [
      [a, 1],
      [b, 2],
    ] as const) {
      await ip(namespace, `addr add 10.99.0.${host}/24 dev eth0`);
      await ip(namespace, `addr add fd99::${host}/64 dev eth0 nodad`);
      await ip(namespace, "link set lo up");
      await ip(namespace, "link set eth0 up");
    }
  } catch (error) {
    await remove();
    throw error;
  }
  return { a, b, remove };
}

async function ip(namespace: string, command: string): Promise<void> {
  await run("ip", ["-n", namespace, ...command.split(" ")]);
}

/** A BIRD that runs. */
export interface Bird {
  /** What birdc prints for a command: "show protocols all tortie". */
  readonly query: (command: string) => Promise<string>;
  readonly pause: () => void;
  readonly resume: () => void;
  readonly stop: () => Promise<void>;
}

/** Starts BIRD in a namespace. Its configuration and control socket are in a temporary folder. */
export async function startBird(namespace: string, config: string): Promise<Bird> {
  const folder = await mkdtemp(join(tmpdir(), "tt-bird-"));
  const [file, socket] = [join(folder, "bird.conf"), join(folder, "bird.ctl")];
  await writeFile(file, config);
  await run(birdProgram, ["-p", "-c", file]);
  // -f: it stays in the foreground, so that the child is BIRD itself (ip replaces itself by it).
  const args = ["netns", "exec", namespace, birdProgram, "-f", "-c", file, "-s", socket];
  const child = spawn("ip", args, { stdio: "ignore" });
  const stop = async () => {
    child.kill("SIGCONT");
    await ended(child);
    await rm(folder, { recursive: true, force: true });
  };
  const query = async (command: string) =>
    (await run("birdc", ["-s", socket, ...command.split(" ")])).stdout;
  try {
    await waitFor(() => query("show status"), { what: "BIRD's control socket" });
  } catch (error) {
    await stop();
    throw error;
  }
  return { query, stop, pause: () => child.kill("SIGSTOP"), resume: () => child.kill("SIGCONT") };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await exit;
}
