import { Worker } from "node:worker_threads";
import type { Kernel, KernelLink, KernelNeighbor } from "../../kernel/kernel.ts";
import { libc } from "../../kernel/netlink/libc.ts";
import { udpDevice } from "../../kernel/ownership.ts";
import { nodeOfMac, tunnelMac } from "../../kernel/tap/tunnel-mac.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type IpAddr, type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import type { MacAddr } from "../../lib/mac.ts";
import { PacedRunner } from "../../lib/paced-runner.ts";
import { runServices, type Service } from "../../lib/service.ts";
import type { FromTunnelWorker, ToTunnelWorker, TunnelWorkerData } from "./worker.ts";

/*
 * The userspace UDP tunnel: a thread copies packets between the device `udp.tortie`, which felix makes,
 * and a UDP socket. Who the peers are is read from the kernel, where felix has put it as the device's
 * permanent neighbors: this process needs neither the datastore nor felix, and felix is not held up by it.
 */

export interface UdpTunnelPorts {
  readonly kernel: Pick<Kernel, "links" | "addresses" | "neighbors" | "monitor">;
  readonly clock: Clock;
  readonly log: Logger;
}

const pace = { minIntervalMs: 20, retryIntervalMs: 1000, maxIntervalMs: 30_000 };
const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 };
const EFD_CLOEXEC = 0x80000;
const EFD_NONBLOCK = 0x800;

/** Carries packets by UDP port `port` for as long as the device is there. */
export function runUdpTunnel(port: number, ports: UdpTunnelPorts): Service {
  const { kernel, clock, log } = ports;
  return async (signal) => {
    const tunnel = new UdpTunnel(port, ports, () => runner.request());
    const runner = new PacedRunner(pace, clock);
    const onError = (error: unknown) =>
      log.warn({ reason: errorMessage(error) }, "UDP tunnel not up to date");
    const concerns = tunnel.concerns.bind(tunnel);
    await runServices(
      [
        (stop) =>
          kernel.monitor((events) => {
            if (events.some(concerns)) runner.request();
          }, stop),
        (stop) => {
          runner.request();
          return runner.start(() => tunnel.look(), onError, stop);
        },
      ],
      signal,
    );
    await tunnel.stop();
  };
}

interface Copying {
  readonly worker: Worker;
  readonly wake: number;
  /** The device that it reads: another one wants another thread. */
  readonly key: string;
  readonly ended: Promise<void>;
}

class UdpTunnel {
  readonly #port: number;
  readonly #ports: UdpTunnelPorts;
  readonly #onEnd: () => void;
  #copying: Copying | undefined;
  #ifindex: number | undefined;
  #mac: MacAddr | undefined;

  constructor(port: number, ports: UdpTunnelPorts, onEnd: () => void) {
    this.#port = port;
    this.#ports = ports;
    this.#onEnd = onEnd;
  }

  concerns(event: Parameters<Parameters<Kernel["monitor"]>[0]>[0][number]): boolean {
    if (event.kind === "link") return event.link.name === udpDevice;
    if (event.kind === "neighbor") return event.neighbor.ifindex === this.#ifindex;
    // Each pod's interface has addresses, too: of the device's owner alone we want to know.
    if (event.kind === "address") return tunnelMac(event.address.address) === this.#mac;
    return event.kind === "lost";
  }

  /** Makes the thread what the device and its neighbors ask for. */
  async look(): Promise<void> {
    const { kernel, log } = this.#ports;
    const link = await kernel.links.get(udpDevice);
    this.#ifindex = link?.ifindex;
    this.#mac = link?.mac;
    const ownNode = await this.#ownNode(link);
    const key = link === undefined ? "" : `${link.ifindex} ${link.mac}`;
    if (this.#copying !== undefined && this.#copying.key !== key) await this.stop();
    if (link === undefined || ownNode === undefined) return;
    const neighbors = await kernel.neighbors.list({ ifindex: link.ifindex });
    const peers = peersOf(neighbors, ipFamily(ownNode));
    if (this.#copying === undefined) {
      this.#copying = this.#start(ownNode, key);
      log.info({ device: udpDevice, port: this.#port, peers: peers.length }, "UDP tunnel begins");
    }
    send(this.#copying, { kind: "peers", peers });
  }

  /** The device stays: what is sent to it is dropped from now on. */
  async stop(): Promise<void> {
    const copying = this.#copying;
    if (copying === undefined) return;
    send(copying, { kind: "stop" });
    await copying.ended;
  }

  /** The device's MAC address names it; of an IPv6 address it is only a hash. */
  async #ownNode(link: KernelLink | undefined): Promise<IpAddr | undefined> {
    if (link?.mac === undefined) return undefined;
    const own = await this.#ports.kernel.addresses.list();
    return own.find(({ address }) => tunnelMac(address) === link.mac)?.address;
  }

  #start(ownNode: IpAddr, key: string): Copying {
    const { log, clock } = this.#ports;
    const wake = libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const data: TunnelWorkerData = { ownNode, port: this.#port, wake };
    const file = new URL(`./worker${import.meta.url.slice(-3)}`, import.meta.url);
    const options = { name: "udp-tunnel", env: {}, resourceLimits, workerData: data };
    const worker = new Worker(file, options);
    worker.on("message", (counts: FromTunnelWorker) => log.info(counts, "UDP tunnel ends"));
    worker.on("error", (error) => {
      log.warn({ reason: errorMessage(error) }, "UDP tunnel failed");
      clock.setTimer(pace.retryIntervalMs, this.#onEnd);
    });
    const ended = new Promise<void>((resolve) => {
      worker.on("exit", () => {
        libc.close(wake);
        if (this.#copying?.worker === worker) this.#copying = undefined;
        resolve();
      });
    });
    return { worker, wake, key, ended };
  }
}

/** Nodes that permanent neighbors name, by their MAC address or, where that is a hash, by their own. */
function peersOf(neighbors: readonly KernelNeighbor[], family: IpFamily): IpAddr[] {
  const nodes = neighbors.flatMap(({ address, mac, state }) => {
    if (state !== "permanent" || mac === undefined) return [];
    return nodeOfMac(mac) ?? (tunnelMac(address) === mac ? address : []);
  });
  return [...new Set(nodes)].filter((node) => ipFamily(node) === family);
}

function send({ worker, wake }: Copying, message: ToTunnelWorker): void {
  worker.postMessage(message, []);
  const one = Buffer.alloc(8);
  one.writeBigUInt64LE(1n);
  libc.write(wake, one, one.length);
}
