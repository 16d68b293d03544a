import { Background } from "./lab.ts";
import { waitFor } from "./wait-for.ts";

const intervalMs = 100;
/** Of each stream: the machine must not be what loses packets. */
const rate = "5M";

/** iperf3 between two namespaces: some TCP streams at a steady rate, until they are stopped. */
export class TcpStreams {
  readonly #server: Background;
  readonly #client: Background;

  private constructor(server: Background, client: Background) {
    this.#server = server;
    this.#client = client;
  }

  /** Waits until data flows. */
  static async open(
    { from, to, address }: { readonly from: string; readonly to: string; readonly address: string },
    streams: number,
  ): Promise<TcpStreams> {
    const server = new Background(to, "iperf3", "--server", "--forceflush");
    await waitFor(() => server.output.includes("listening"), { what: "the iperf3 server" });
    const what = ["--client", address, "--parallel", `${streams}`, "--bitrate", rate];
    const how = ["--time", "3600", "--interval", `${intervalMs / 1000}`, "--forceflush"];
    const opened = new TcpStreams(server, new Background(from, "iperf3", ...what, ...how));
    await opened.flow();
    return opened;
  }

  /** Waits until data flows from now on. */
  async flow(): Promise<void> {
    const before = this.#sums().length;
    await waitFor(
      () =>
        this.#sums()
          .slice(before)
          .filter((bytes) => bytes > 0).length > 5,
      {
        timeoutMs: 60_000,
        what: "TCP streams",
      },
    );
  }

  /** The longest time in which none of the streams sent anything. */
  get longestSilenceMs(): number {
    let longest = 0;
    let run = 0;
    for (const bytes of this.#sums()) {
      run = bytes > 0 ? 0 : run + 1;
      longest = Math.max(longest, run);
    }
    return longest * intervalMs;
  }

  async stop(): Promise<void> {
    await this.#server.stop("SIGKILL");
    await this.#client.stop("SIGKILL");
  }

  #sums(): number[] {
    const line = /^\[SUM\]\s+\S+\s+sec\s+(\S+) \w+/gm;
    return [...this.#client.printed.matchAll(line)].map(([, amount]) => Number(amount));
  }
}
