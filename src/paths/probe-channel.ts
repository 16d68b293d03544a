import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import {
  askLength,
  type Datagram,
  decodeDatagram,
  encodeDatagram,
  isAuthentic,
} from "./datagram.ts";
import type { AskBody } from "./responder.ts";
import { parseState, type StateBody } from "./state-body.ts";
import { UdpEndpoint } from "./udp-endpoint.ts";

export interface ChannelConfig {
  readonly source: IpAddr;
  readonly destination: IpAddr;
  readonly port: number;
  readonly withoutChecksum?: true;
}

/** Who speaks with whom in which run. */
export interface Conversation {
  readonly self: string;
  readonly peer: string;
  readonly key: Uint8Array;
  /** 16 hexadecimal digits. */
  readonly run: string;
  /** Numbers of the run's probes, over all of its channels. */
  nextNumber(): number;
}

/** Octets of UDP payload. */
export interface ProbeSize {
  readonly length: number;
  readonly answerLength: number;
}

/** What became of one probe. */
export interface ProbeResult {
  readonly number: number;
  readonly answered: boolean;
  readonly roundTripMs: number;
}

/** Sends probes of a run along one path, and waits for their answers. */
export class ProbeChannel {
  readonly #conversation: Conversation;
  readonly #clock: Clock;
  readonly #waiting = new Map<number, (answer: Datagram) => void>();
  readonly #endpoint: UdpEndpoint;
  readonly #errors = new Set<string>();

  private constructor(config: ChannelConfig, conversation: Conversation, clock: Clock) {
    this.#conversation = conversation;
    this.#clock = clock;
    const { source: address, withoutChecksum } = config;
    this.#endpoint = new UdpEndpoint(
      { address, port: 0, ...(withoutChecksum ? { withoutChecksum } : {}) },
      {
        datagram: (bytes) => this.#take(bytes),
        refusal: (code) => this.#errors.add(code),
      },
    );
  }

  /** @throws when the address is not there, or no route leads to the destination. */
  static async open(
    config: ChannelConfig,
    conversation: Conversation,
    clock: Clock,
  ): Promise<ProbeChannel> {
    const channel = new ProbeChannel(config, conversation, clock);
    try {
      await channel.#endpoint.connect({ address: config.destination, port: config.port });
      return channel;
    } catch (cause) {
      channel.close();
      throw new Error(`Cannot probe ${config.destination}: ${errorMessage(cause)}`, { cause });
    }
  }

  /** What the kernel said so far, such as "ECONNREFUSED". */
  get errors(): ReadonlySet<string> {
    return this.#errors;
  }

  async probe({ length, answerLength }: ProbeSize, waitMs: number): Promise<ProbeResult> {
    const number = this.#conversation.nextNumber();
    const began = this.#clock.now();
    const answer = await this.#exchange("probe", number, {
      length,
      answerLength,
      body: new Uint8Array(),
      waitMs,
    });
    const isWhole = answer?.kind === "answer";
    return { number, answered: isWhole, roundTripMs: this.#clock.now() - began };
  }

  /** What the peer says of itself, and of the run's probes; undefined when it says nothing. */
  async ask(asked: AskBody, waitMs: number): Promise<StateBody | undefined> {
    const number = this.#conversation.nextNumber();
    const answer = await this.#exchange("ask", number, {
      length: askLength,
      answerLength: askLength,
      body: Buffer.from(JSON.stringify(asked)),
      waitMs,
    });
    return answer?.kind === "state" ? parseState(answer.body) : undefined;
  }

  close(): void {
    this.#endpoint.close();
  }

  async #exchange(
    kind: "probe" | "ask",
    number: number,
    question: ProbeSize & { readonly body: Uint8Array; readonly waitMs: number },
  ): Promise<Datagram | undefined> {
    const { run, self, key } = this.#conversation;
    const { answerLength, body, length, waitMs } = question;
    const bytes = encodeDatagram(
      { kind, run, number, sender: self, answerLength, body },
      length,
      key,
    );
    return new Promise((resolve) => {
      const settle = (answer: Datagram | undefined) => {
        stopTimer();
        this.#waiting.delete(number);
        resolve(answer);
      };
      const stopTimer = this.#clock.setTimer(waitMs, () => settle(undefined));
      this.#waiting.set(number, settle);
      void this.#send(bytes);
    });
  }

  /** An error of the packet before is told instead of sending this one: then it is sent again. */
  async #send(bytes: Uint8Array): Promise<void> {
    const error = await this.#endpoint.send(bytes);
    if (error === undefined) return;
    this.#errors.add(error);
    const again = await this.#endpoint.send(bytes);
    if (again !== undefined) this.#errors.add(again);
  }

  #take(bytes: Uint8Array): void {
    const { key, run, peer } = this.#conversation;
    const datagram = decodeDatagram(bytes);
    if (datagram === undefined || datagram.run !== run || datagram.sender !== peer) return;
    if (datagram.kind !== "answer" && datagram.kind !== "state") return;
    if (isAuthentic(bytes, key)) this.#waiting.get(datagram.number)?.(datagram);
  }
}
