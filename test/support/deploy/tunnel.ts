import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endChild } from "../end-child.ts";
import type { TestNetns } from "../netns.ts";
import { waitFor } from "../wait-for.ts";

/** Makes a port of this host's loopback answer on the loopback of network namespaces, by a unix socket. */
export class Tunnel {
  readonly #port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "tortie-tunnel-"));
  readonly #server: Server;
  readonly #relays: ChildProcess[] = [];

  constructor(port: number) {
    this.#port = port;
    this.#server = createServer((socket) => {
      const far = connect(port, "127.0.0.1");
      socket.pipe(far).pipe(socket);
      for (const each of [socket, far]) {
        each.on("error", () => {
          socket.destroy();
          far.destroy();
        });
      }
    }).listen(join(this.#folder, "socket"));
  }

  /** The same port answers inside from now on. */
  async into(netns: TestNetns): Promise<void> {
    const args = [
      ...["netns", "exec", netns.name, "socat"],
      `TCP-LISTEN:${this.#port},bind=127.0.0.1,fork,reuseaddr`,
      `UNIX-CONNECT:${join(this.#folder, "socket")}`,
    ];
    this.#relays.push(spawn("ip", args, { stdio: "ignore" }));
    const listens = () => netns.run("ss", ["-ltnH"]).includes(`127.0.0.1:${this.#port} `);
    await waitFor(listens, { what: "socat" });
  }

  async remove(): Promise<void> {
    for (const relay of this.#relays) await endChild(relay, "SIGKILL");
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
