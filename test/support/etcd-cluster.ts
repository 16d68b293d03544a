import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./etcd-server.ts";
import { waitFor } from "./wait-for.ts";

interface Member {
  readonly name: string;
  readonly endpoint: string;
  readonly peer: string;
  child?: ChildProcess;
}

/** Three etcd members on loopback. */
export class EtcdCluster {
  readonly #folder = mkdtempSync(join(tmpdir(), "tortie-etcds-"));
  readonly #members: readonly Member[];

  private constructor(members: readonly Member[]) {
    this.#members = members;
  }

  static async start(): Promise<EtcdCluster> {
    const url = async () => `http://127.0.0.1:${await freePort()}`;
    const members: Member[] = [];
    for (const name of ["a", "b", "c"]) {
      members.push({ name, endpoint: await url(), peer: await url() });
    }
    const cluster = new EtcdCluster(members);
    await Promise.all(members.map(({ name }) => cluster.startMember(name)));
    return cluster;
  }

  get endpoints(): readonly string[] {
    return this.#members.map(({ endpoint }) => endpoint);
  }

  /** Starts a member that does not run, and waits until it has a leader. */
  async startMember(name: string): Promise<void> {
    const member = this.#member(name);
    member.child = spawn(
      "etcd",
      [
        `--name=${name}`,
        `--data-dir=${name}`,
        `--listen-client-urls=${member.endpoint}`,
        `--advertise-client-urls=${member.endpoint}`,
        `--listen-peer-urls=${member.peer}`,
        `--initial-advertise-peer-urls=${member.peer}`,
        `--initial-cluster=${this.#members.map((one) => `${one.name}=${one.peer}`).join()}`,
        "--unsafe-no-fsync=true",
      ],
      { cwd: this.#folder, stdio: "ignore" },
    );
    const healthy = async () => (await fetch(`${member.endpoint}/health`)).ok;
    await waitFor(healthy, { timeoutMs: 60_000, what: `etcd ${name}` });
  }

  /** Name of the member that leads. */
  async leader(): Promise<string> {
    return await waitFor(
      async () => {
        for (const { name, endpoint, child } of this.#members) {
          if (child === undefined) continue;
          const request = { method: "POST", body: "{}" };
          const answer = await fetch(`${endpoint}/v3/maintenance/status`, request);
          const status = (await answer.json()) as { header: { member_id: string }; leader: string };
          if (status.header.member_id === status.leader) return name;
        }
        return undefined;
      },
      { timeoutMs: 60_000, what: "a leader" },
    );
  }

  async kill(name: string): Promise<void> {
    const member = this.#member(name);
    const { child } = member;
    delete member.child;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.on("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  async remove(): Promise<void> {
    await Promise.all(this.#members.map(({ name }) => this.kill(name)));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #member(name: string): Member {
    const member = this.#members.find((one) => one.name === name);
    if (member === undefined) throw new Error(`there is no etcd member ${name}`);
    return member;
  }
}
