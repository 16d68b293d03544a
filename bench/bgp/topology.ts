import { execFileSync } from "node:child_process";
import { clientAddressOf, dotted } from "./load/load-clients.ts";

export const targetAddress = "10.77.0.1";
export const maxClients = 1000;

/** Two namespaces and a link: the target alone in one, all clients' addresses in the other. */
export interface Topology {
  readonly targetNetns: string;
  readonly clientNetns: string;
  /** Ends what a target left behind in its namespace. */
  endTarget(): void;
  /** Ends all processes in both. */
  endAll(): void;
  remove(): void;
}

/**
 * Neighbour entries are permanent: a thousand neighbours would fill the kernel's table (gc_thresh3),
 * and nobody shall wait for ARP.
 */
export function makeTopology(): Topology {
  const targetNetns = `bb-${process.pid}-t`;
  const clientNetns = `bb-${process.pid}-c`;
  const [targetMac, clientMac] = ["02:00:00:00:00:01", "02:00:00:00:00:02"];
  const addresses = Array.from({ length: maxClients }, (_, i) => dotted(clientAddressOf(i)));
  const both = [targetNetns, clientNetns];
  const endAll = () => both.forEach(endProcesses);
  const remove = () => {
    endAll();
    for (const name of both) execFileSync("ip", ["netns", "del", name], { stdio: "ignore" });
  };
  ip(`netns add ${targetNetns}\nnetns add ${clientNetns}`);
  try {
    ip(
      `link add eth0 netns ${targetNetns} address ${targetMac} type veth ` +
        `peer name eth0 netns ${clientNetns} address ${clientMac}`,
    );
    inside(targetNetns, [
      `addr add ${targetAddress}/16 dev eth0`,
      "link set lo up",
      "link set eth0 up",
      ...addresses.map((each) => `neigh add ${each} lladdr ${clientMac} dev eth0 nud permanent`),
    ]);
    inside(clientNetns, [
      ...addresses.map((each) => `addr add ${each}/16 dev eth0`),
      "link set lo up",
      "link set eth0 up",
      `neigh add ${targetAddress} lladdr ${targetMac} dev eth0 nud permanent`,
    ]);
  } catch (error) {
    remove();
    throw error;
  }
  return { targetNetns, clientNetns, endTarget: () => endProcesses(targetNetns), endAll, remove };
}

/** The namespaces are ours, so all in them was started by us. */
function endProcesses(netns: string): void {
  const pids = execFileSync("ip", ["netns", "pids", netns], { encoding: "utf8" });
  for (const pid of pids.split("\n").filter((word) => word !== "")) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
}

function ip(lines: string): void {
  execFileSync("ip", ["-batch", "-"], { input: `${lines}\n` });
}

function inside(netns: string, lines: readonly string[]): void {
  execFileSync("ip", ["netns", "exec", netns, "ip", "-batch", "-"], {
    input: `${lines.join("\n")}\n`,
  });
}
