import { libc } from "../../../src/kernel/netlink/libc.ts";
import { closeNetns, inNetns, openNetns } from "../../../src/kernel/netns.ts";
import { socketAddress } from "../../../src/kernel/tcp-options.ts";
import { type IpAddr, parseIpAddr } from "../../../src/lib/ip-addr.ts";

/**
 * Sends UDP datagrams from network namespaces, some every millisecond, to addresses that may not be there
 * yet. Told by messages: {start: path of the namespace, to}, {stop: path}; tells how many each has sent.
 */
export type FloodOrder =
  | { readonly start: string; readonly to: string }
  | { readonly stop: string };
/** Datagrams that the kernel took, by namespace. */
export type FloodCounts = Readonly<Record<string, number>>;

const AF_INET = 2;
const SOCK_DGRAM_NONBLOCK = 2 | 0x800;
const everyMs = 1;
const atATime = 5;
const tellEveryMs = 20;
const port = 9;
const payload = Buffer.from("flood");

interface Flow {
  readonly fd: number;
  readonly to: IpAddr;
  sent: number;
}

const flows = new Map<string, Flow>();

process.on("message", (order: FloodOrder) => {
  if ("start" in order) flows.set(order.start, open(order.start, parseIpAddr(order.to)));
  else {
    const flow = flows.get(order.stop);
    flows.delete(order.stop);
    if (flow !== undefined) libc.close(flow.fd);
  }
});
process.on("disconnect", () => process.exit(0));
setInterval(() => flows.values().forEach(send), everyMs);
setInterval(() => {
  process.send?.(Object.fromEntries([...flows].map(([path, { sent }]) => [path, sent])));
}, tellEveryMs);

function open(path: string, to: IpAddr): Flow {
  const netns = openNetns(path);
  const fd = inNetns(netns, () => libc.socket(AF_INET, SOCK_DGRAM_NONBLOCK, 0));
  closeNetns(netns);
  return { fd, to, sent: 0 };
}

/** A way there may be only now: the route is looked up anew each time. */
function send(flow: Flow): void {
  const address = socketAddress(flow.to, port);
  if (libc.connect(flow.fd, address, address.length) < 0) return;
  for (let count = 0; count < atATime; count++) {
    if (Number(libc.send(flow.fd, payload, payload.length, 0)) > 0) flow.sent++;
  }
}
