import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A TCP proxy on loopback that can stop forwarding without closing anything: a half-open connection. */
export class StallingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #stalled = false;

  private constructor(port: number) {
    this.#server = createServer((client) => {
      const pair = [client, connect(port, "127.0.0.1")] as const;
      const end = () => {
        for (const socket of pair) socket.destroy();
      };
      for (const socket of pair) {
        this.#sockets.add(socket);
        socket.on("error", end).on("close", end);
        if (this.#stalled) socket.pause();
      }
      if (this.#stalled) return;
      pair[0].pipe(pair[1]);
      pair[1].pipe(pair[0]);
    });
  }

  /** In front of a port of 127.0.0.1. */
  static async start(port: number): Promise<StallingProxy> {
    const proxy = new StallingProxy(port);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Forwards nothing more, on connections that are there or come. */
  stall(): void {
    this.#stalled = true;
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  /** New connections are forwarded again; stalled ones stay so. */
  forwardNew(): void {
    this.#stalled = false;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
