import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isAlive } from "../lib/own-process.ts";
import { startDaemon } from "./daemons.ts";
import type { LabPaths } from "./lab-state.ts";

const readyMs = 20_000;

/**
 * Starts etcd for a lab: on loopback for the caller, on a unix socket for the nodes, whose network
 * namespaces it crosses.
 *
 * @returns its port on loopback.
 */
export async function startEtcd(paths: LabPaths): Promise<number> {
  mkdirSync(paths.etcdFolder, { recursive: true, mode: 0o700 });
  const [clientPort, peerPort] = [await freePort(), await freePort()];
  const client = `http://127.0.0.1:${clientPort}`;
  const log = join(paths.etcdFolder, "etcd.log");
  const etcd = startDaemon({
    program: "etcd",
    args: [
      "--name=lab",
      `--data-dir=${join(paths.etcdFolder, "data")}`,
      // etcd takes a socket's name in its working folder, in the form of host and port.
      `--listen-client-urls=${client},unix://${basename(paths.etcdSocket)}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-cluster=lab=http://127.0.0.1:${peerPort}`,
      "--unsafe-no-fsync=true",
    ],
    env: {},
    folder: paths.etcdFolder,
    log,
  });
  writeFileSync(join(paths.etcdFolder, "etcd.pid"), `${etcd.pid}\n`);
  const deadline = Date.now() + readyMs;
  while (!(await isHealthy(client))) {
    if (!isAlive(etcd)) throw new Error(`etcd has stopped: see ${log}`);
    if (Date.now() > deadline) throw new Error(`etcd is not ready: see ${log}`);
    await delay(100);
  }
  return clientPort;
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(1000) });
    return answer.ok;
  } catch {
    return false;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
      .on("error", reject)
      .listen(0, "127.0.0.1", () => {
        const address = server.address();
        const port = typeof address === "object" && address !== null ? address.port : 0;
        server.close(() => resolve(port));
      });
  });
}
