import type { PeerDetail } from "../../../src/bgp/control/peer-views.ts";
import { fromHex } from "../../support/hex.ts";
import { TestNetns } from "../../support/netns.ts";
import { type HeardRoute, RawBgpPeer } from "../../support/raw-bgp-peer.ts";
import { waitFor } from "../../support/wait-for.ts";
import { TestSpeaker } from "../speaker.ts";
import { externalAsn, localAsn, message, told } from "./octets.ts";

const speakerAddresses = { 4: "10.99.0.1", 6: "fd99::1" } as const;
const watcherAddresses = { 4: "10.99.0.2", 6: "fd99::2" } as const;
const bystanderAddress = "10.99.3.1";
const bystanderRoute = "10.250.0.0/16";
const bystanderUpdate = "00000014 40010100 40020602010000fde7 4003040a630301 100afa";
const families = ["ipv4-unicast", "ipv6-unicast"];

/** The peer of one row: it has an address, and the speaker waits for it there. */
export class RowPeer {
  readonly #number: string;
  readonly isInternal: boolean;
  readonly address: string;

  constructor(number: number, isInternal: boolean) {
    this.#number = number.toString(16).padStart(2, "0");
    this.isInternal = isInternal;
    this.address = `10.99.${isInternal ? 2 : 1}.${number}`;
  }

  get name(): string {
    return `Static_${this.address.replaceAll(".", "_")}`;
  }

  get asn(): number {
    return this.isInternal ? localAsn : externalAsn;
  }

  /** A session that is Established. */
  established(): Promise<RawBgpPeer> {
    return RawBgpPeer.established(this.#connection);
  }

  /** A connection on which these octets come first. */
  opening(octets: Uint8Array): RawBgpPeer {
    return RawBgpPeer.opening(this.#connection, octets);
  }

  /** Octets of a message of the row. */
  octets(hex: string): Uint8Array {
    return fromHex(hex.replaceAll("NN", this.#number));
  }

  prefix(which: keyof typeof told): string {
    const number = Number.parseInt(this.#number, 16);
    return told[which].replace("NN", which === "bad6" ? number.toString(16) : String(number));
  }

  get #connection() {
    const { address: from, asn } = this;
    return { from, to: speakerAddresses[4], asn, speakerAsn: localAsn };
  }
}

/**
 * A speaker with a peer for each row, two clients that hear what it tells others, one a family, and a
 * peer that does nothing wrong. All are in one namespace, and this process too.
 */
export class MalformedLab {
  readonly #netns: TestNetns;
  readonly #speaker: TestSpeaker;
  readonly #watchers: Readonly<Record<4 | 6, RawBgpPeer>>;
  readonly #bystander: RawBgpPeer;

  private constructor(
    netns: TestNetns,
    speaker: TestSpeaker,
    peers: { readonly watchers: Record<4 | 6, RawBgpPeer>; readonly bystander: RawBgpPeer },
  ) {
    this.#netns = netns;
    this.#speaker = speaker;
    this.#watchers = peers.watchers;
    this.#bystander = peers.bystander;
  }

  static async make(peers: readonly RowPeer[]): Promise<MalformedLab> {
    const netns = new TestNetns("bad");
    // On lo all addresses of the prefix are ours.
    netns.ip("addr add 10.99.0.1/16 dev lo");
    for (const host of [1, 2]) netns.ip(`addr add fd99::${host}/128 dev lo`);
    netns.enter();
    const speaker = await TestSpeaker.start(netns.name, speakerConfig(peers));
    const isReady = () => speaker.ask({ request: "peers" });
    await waitFor(isReady, { what: "the control socket", timeoutMs: 30_000 });
    const session = { to: speakerAddresses[4], speakerAsn: localAsn };
    const watch = (family: 4 | 6) =>
      RawBgpPeer.established({
        ...{ from: watcherAddresses[family], to: speakerAddresses[family], routerId: family },
        ...{ asn: localAsn, speakerAsn: localAsn },
      });
    const watchers = { 4: await watch(4), 6: await watch(6) };
    const config = { ...session, from: bystanderAddress, asn: externalAsn };
    const bystander = await RawBgpPeer.established(config);
    bystander.send(fromHex(message(2, bystanderUpdate)));
    const lab = new MalformedLab(netns, speaker, { watchers, bystander });
    await lab.hears(bystanderRoute);
    return lab;
  }

  /** The sessions that had no part in anything malformed, and their routes, are there. */
  get isUndisturbed(): boolean {
    const sessions = [this.#watchers[4], this.#watchers[6], this.#bystander];
    return sessions.every(({ isClosed }) => !isClosed) && this.heard(bystanderRoute) !== undefined;
  }

  detail({ name }: RowPeer): Promise<PeerDetail> {
    return this.#speaker.peer(name);
  }

  /** What the speaker has told its clients of a prefix. */
  heard(prefix: string): HeardRoute | undefined {
    return this.#watchers[prefix.includes(":") ? 6 : 4].heard.get(prefix);
  }

  async hears(prefix: string): Promise<void> {
    await waitFor(() => this.heard(prefix) !== undefined, { what: `the route of ${prefix}` });
  }

  async hearsNo(prefix: string): Promise<void> {
    await waitFor(() => this.heard(prefix) === undefined, { what: `the end of ${prefix}` });
  }

  async remove(): Promise<void> {
    for (const peer of [this.#watchers[4], this.#watchers[6], this.#bystander]) peer.close();
    await this.#speaker.remove();
    this.#netns.remove();
  }
}

function speakerConfig(peers: readonly RowPeer[]) {
  const internal = { asn: localAsn, routeReflectorClient: true };
  const external = { asn: externalAsn };
  const neighbors = [
    ...peers.map(({ address, isInternal }) => ({ address, ...(isInternal ? internal : external) })),
    ...Object.values(watcherAddresses).map((address) => ({ address, ...internal })),
    { address: bystanderAddress, ...external },
  ];
  return {
    asn: localAsn,
    routerId: speakerAddresses[4],
    listen: Object.values(speakerAddresses).map((address) => ({ address })),
    neighbors: neighbors.map((neighbor) => ({ ...neighbor, passive: true, families })),
  };
}
