import type { TokenBucket, TrafficControl } from "../kernel.ts";
import type { MessageWriter } from "../netlink/message.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { errnos, flag, unless } from "./requests.ts";
import {
  filterMessage,
  qdiscMessage,
  readQdisc,
  readRedirect,
  writeFilterRequest,
  writeIngress,
  writeQdiscRemoval,
  writeQdiscRequest,
  writeRedirect,
  writeTbf,
} from "./traffic-message.ts";

/** The traffic control of a socket's network namespace. */
export function trafficControl(socket: NetlinkSocket): TrafficControl {
  return {
    list: () => list(socket),
    limit: (ifindex, bucket) =>
      socket.request(
        {
          type: qdiscMessage.new,
          flags: flag.create | flag.replace,
          fill: (writer) => writeTbf(writer, ifindex, bucket),
        },
        `Cannot limit the bandwidth of link ${ifindex}`,
      ),
    redirect: async (ifindex, toIfindex) => {
      const what = `Cannot redirect what comes in by link ${ifindex}`;
      const add = (type: number, fill: (writer: MessageWriter) => void) =>
        socket.request({ type, flags: flag.create | flag.exclusive, fill }, what);
      await remove(socket, ifindex, "ingress");
      await add(qdiscMessage.new, (writer) => writeIngress(writer, ifindex));
      await add(filterMessage.new, (writer) => writeRedirect(writer, ifindex, toIfindex));
    },
    remove: (ifindex, place) => remove(socket, ifindex, place),
  };
}

function remove(socket: NetlinkSocket, ifindex: number, place: "root" | "ingress"): Promise<void> {
  const fill = (writer: MessageWriter) => writeQdiscRemoval(writer, ifindex, place);
  const request = { type: qdiscMessage.delete, flags: 0, fill };
  const what = `Cannot remove the ${place} qdisc of link ${ifindex}`;
  // One that is not there: ENOENT, or EINVAL where there is only the kernel's own.
  return unless([errnos.ENOENT, errnos.EINVAL, errnos.ENODEV], socket.request(request, what));
}

async function list(socket: NetlinkSocket) {
  const qdiscs = await socket.dump(
    { type: qdiscMessage.get, flags: 0, fill: writeQdiscRequest },
    "Cannot list qdiscs",
    ({ body }) => readQdisc(body),
  );
  const limits = new Map<number, TokenBucket>();
  const redirects = new Map<number, number | undefined>();
  for (const qdisc of qdiscs) {
    if (qdisc.kind === "tbf") limits.set(qdisc.ifindex, qdisc.bucket);
    else redirects.set(qdisc.ifindex, await redirectOf(socket, qdisc.ifindex));
  }
  return { limits, redirects };
}

/** Where the first filter that redirects leads. */
async function redirectOf(socket: NetlinkSocket, ifindex: number): Promise<number | undefined> {
  const fill = (writer: MessageWriter) => writeFilterRequest(writer, ifindex);
  const request = { type: filterMessage.get, flags: 0, fill };
  const [first] = await socket.dump(request, `Cannot list filters of link ${ifindex}`, ({ body }) =>
    readRedirect(body),
  );
  return first;
}
