import { execFileSync } from "node:child_process";
import { libc } from "../../src/kernel/netlink/libc.ts";
import { closeNetns, openNetns } from "../../src/kernel/netns.ts";

const CLONE_NEWNET = 0x40000000;

/** Namespaces of this process that are not removed yet: a failed test leaves none behind. */
const present = new Set<TestNetns>();
process.on("exit", () => {
  for (const netns of present) netns.remove();
});

let count = 0;

/** Why tests with network namespaces cannot run here; false when they can. */
export function cannotMakeNetns(): string | false {
  return process.getuid?.() === 0 ? false : "network namespaces need root";
}

/** A network namespace of a test's own: its name holds the pid, `lo` is up. */
export class TestNetns implements Disposable {
  readonly name: string;
  /** Open as long as the namespace is not removed. */
  readonly fd: number;

  constructor(label = "ns") {
    this.name = `tt-${process.pid}-${label}${count++}`;
    execFileSync("ip", ["netns", "add", this.name]);
    present.add(this);
    this.fd = openNetns(this.path);
    this.ip("link set lo up");
  }

  get path(): string {
    return `/run/netns/${this.name}`;
  }

  /** Output of `ip` inside. Its words are split at spaces. */
  ip(words: string): string {
    return execFileSync("ip", ["-n", this.name, ...words.split(" ")], { encoding: "utf8" });
  }

  /** What `ip -j` lists inside. */
  ipJson<Row>(words: string): Row[] {
    return JSON.parse(this.ip(`-j ${words}`) || "[]") as Row[];
  }

  /** Output of a program run inside. */
  run(program: string, args: readonly string[] = [], input = ""): string {
    const words = ["netns", "exec", this.name, program, ...args];
    return execFileSync("ip", words, { encoding: "utf8", input });
  }

  /** A veth pair, both ends up: `name` here, `peerName` in the other namespace (default: here). */
  addVeth(name: string, peerName: string, other: TestNetns = this): void {
    this.ip(`link add ${name} type veth peer name ${peerName} netns ${other.name}`);
    this.ip(`link set ${name} up`);
    other.ip(`link set ${peerName} up`);
  }

  /** Moves this process in for good: its sockets and child processes are there from now on. */
  enter(): void {
    if (libc.setns(this.fd, CLONE_NEWNET) < 0) throw new Error(`Cannot enter ${this.name}`);
  }

  remove(): void {
    if (!present.delete(this)) return;
    closeNetns(this.fd);
    execFileSync("ip", ["netns", "del", this.name]);
  }

  [Symbol.dispose](): void {
    this.remove();
  }
}
