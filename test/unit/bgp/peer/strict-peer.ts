import { preferredInitiator } from "../../../../src/bgp/fsm/collision.ts";
import type { IncomingConnection } from "../../../../src/bgp/peer/transport.ts";
import { encodeNotification } from "../../../../src/bgp/wire/notification.ts";
import { encodeOpen } from "../../../../src/bgp/wire/open.ts";
import { encodeKeepalive } from "../../../../src/bgp/wire/route-refresh.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import type { MemoryConnection, MemoryNetwork } from "./memory-network.ts";

interface Side {
  readonly connection: MemoryConnection;
  readonly initiator: "local" | "remote";
  state: "OpenSent" | "OpenConfirm" | "Established" | "Closed";
}

export interface StrictPeerConfig {
  readonly address: IpAddr;
  readonly routerId: number;
  readonly peer: { readonly address: IpAddr; readonly routerId: number };
  /** Closes the other connection as soon as it is Established, as FRR does; BIRD waits for its OPEN. */
  readonly endsOther: boolean;
}

const asn = 64512 as Asn;
const [open, notification, keepalive] = [1, 3, 4];

/** A speaker that decides collisions by the letter of RFC 4271 section 6.8, as others do. */
export class StrictPeer {
  readonly sides: Side[] = [];
  readonly #network: MemoryNetwork;
  readonly #config: StrictPeerConfig;

  constructor(network: MemoryNetwork, config: StrictPeerConfig) {
    this.#network = network;
    this.#config = config;
    const { address } = config;
    network.host(address).listen({ address, port: 179 }, (connection) => {
      this.#opened(this.#side(connection, "remote"));
    });
  }

  connect(): void {
    const { address, peer } = this.#config;
    const target = { address: peer.address, port: 179 };
    this.#side(this.#network.host(address).connect(target), "local");
  }

  get established(): readonly MemoryConnection[] {
    return this.sides.flatMap(({ state, connection }) =>
      state === "Established" ? connection : [],
    );
  }

  #side(connection: unknown, initiator: Side["initiator"]): Side {
    const side: Side = { connection: connection as MemoryConnection, initiator, state: "OpenSent" };
    (connection as IncomingConnection).attach({
      connected: () => this.#opened(side),
      data: (bytes) => this.#heard(side, bytes),
      closed: () => {
        side.state = "Closed";
      },
      progressed: () => undefined,
      drained: () => undefined,
    });
    return side;
  }

  #opened(side: Side): void {
    this.sides.push(side);
    const { routerId } = this.#config;
    side.connection.write(
      encodeOpen({ kind: "open", asn, holdSeconds: 90, routerId, capabilities: [] }),
    );
  }

  #heard(side: Side, bytes: Uint8Array): void {
    if (bytes[18] === open) this.#decide(side);
    else if (bytes[18] === notification) this.#close(side);
    else if (bytes[18] === keepalive && side.state === "OpenConfirm") {
      side.state = "Established";
      if (this.#config.endsOther) this.#otherThan(side).map((other) => this.#refuse(other));
    }
  }

  #decide(side: Side): void {
    const { routerId, peer } = this.#config;
    const [other] = this.#otherThan(side);
    const isPreferred =
      side.initiator ===
      preferredInitiator({ local: { routerId, asn }, peer: { routerId: peer.routerId, asn } });
    if (other?.state === "OpenConfirm" && isPreferred) this.#refuse(other);
    else if (other?.state === "OpenConfirm" || other?.state === "Established") {
      this.#refuse(side);
      return;
    }
    side.connection.write(encodeKeepalive());
    side.state = "OpenConfirm";
  }

  #otherThan(side: Side): Side[] {
    return this.sides.filter((each) => each !== side && each.state !== "Closed");
  }

  #refuse(side: Side): void {
    side.connection.write(encodeNotification({ code: 6, subcode: 7, data: new Uint8Array(0) }));
    this.#close(side);
  }

  #close(side: Side): void {
    side.state = "Closed";
    void side.connection.close();
  }
}
