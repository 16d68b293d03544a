import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** Sends the signal to a child, also to one that is stopped, and waits for its end. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGCONT");
  child.kill(signal);
  await ended;
}
