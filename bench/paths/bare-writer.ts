import { routeMessage, writeRoute } from "../../src/kernel/ip/route-message.ts";
import type { KernelRoute } from "../../src/kernel/kernel.ts";
import { libc } from "../../src/kernel/netlink/libc.ts";
import { MessageWriter } from "../../src/kernel/netlink/message.ts";
import { openNetlink } from "../../src/kernel/netlink/socket.ts";

const NETLINK_ROUTE = 0;
/** REQUEST, REPLACE and CREATE. */
const requestFlags = 0x1 | 0x100 | 0x400;
const NLM_F_ACK = 0x4;
const routesPerSend = 128;

/**
 * The least that a program can do to have routes in the kernel: it writes 128 messages into a buffer, sends
 * them, waits for the answer to the last, and looks at nothing. It blocks its process meanwhile.
 */
export class BareWriter {
  readonly #fd = openNetlink(NETLINK_ROUTE);
  readonly #answer = Buffer.alloc(1 << 16);

  replace(routes: readonly KernelRoute[]): void {
    for (let start = 0; start < routes.length; start += routesPerSend) {
      const some = routes.slice(start, start + routesPerSend);
      const writer = new MessageWriter();
      for (const [index, route] of some.entries()) {
        const flags = index === some.length - 1 ? requestFlags | NLM_F_ACK : requestFlags;
        writer.begin(routeMessage.new, flags, start + index);
        writeRoute(writer, route);
        writer.end();
      }
      const bytes = writer.bytes();
      libc.send(this.#fd, bytes, bytes.length, 0);
      libc.recv(this.#fd, this.#answer, this.#answer.length, 0);
    }
  }

  close(): void {
    libc.close(this.#fd);
  }
}
