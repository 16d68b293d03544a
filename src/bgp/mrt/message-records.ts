import { type IpAddr, ipFamily } from "../../lib/ip-addr.ts";
import type { TappedMessages } from "../peer/message-tap.ts";
import type { Negotiated, PeerConfig, PeerEvent } from "../peer/peer.ts";
import { messageType } from "../wire/header.ts";
import { encodeMessageRecord, encodeStateChange, mrtState, unspecified } from "./mrt-record.ts";

interface Established {
  readonly negotiated: Negotiated;
  readonly localAs: number;
}

/** Messages and changes of state as MRT records (RFC 6396 section 4.4). Pure. */
export class MessageRecords {
  /** By peer, while the session is Established. */
  readonly #sessions = new Map<string, Established>();

  /** One record for each message. */
  ofMessages({ direction, peer, connection, bytes }: TappedMessages, date: Date): Uint8Array[] {
    const established = this.#sessions.get(peer.name);
    const session = { ...endsOf(peer, connection), ...asesOf(peer, established) };
    return splitMessages(bytes).map((message) => {
      const isUpdate = message[18] === messageType.update;
      const addPath = isUpdate && hasAddPath(established?.negotiated, direction);
      // What comes before the OPENs are exchanged has no AS_PATH.
      const fourOctetAs = !isUpdate || established?.negotiated.fourOctetAs !== false;
      return encodeMessageRecord(
        date,
        { ...session, fourOctetAs },
        { direction, bytes: message, addPath },
      );
    });
  }

  ofEvent(event: PeerEvent, config: PeerConfig | undefined, date: Date): Uint8Array[] {
    if (event.kind === "established" && config !== undefined) {
      const { negotiated } = event;
      const established = { negotiated, localAs: config.localAs };
      this.#sessions.set(event.name, established);
      const states = { from: mrtState.openConfirm, to: mrtState.established };
      return [encodeStateChange(date, sessionOf(established), states)];
    }
    if (event.kind !== "down") return [];
    const established = this.#sessions.get(event.name);
    if (established === undefined) return [];
    this.#sessions.delete(event.name);
    const states = { from: mrtState.established, to: mrtState.idle };
    return [encodeStateChange(date, sessionOf(established), states)];
  }
}

function sessionOf({ negotiated, localAs }: Established) {
  const { peerAs, peerAddress, localAddress } = negotiated;
  return { peerAs, localAs, peerAddress, localAddress, fourOctetAs: true };
}

/** A socket that has just closed has no addresses any more: "::". */
function endsOf(
  peer: PeerConfig,
  { localAddress, remoteAddress }: TappedMessages["connection"],
): { readonly peerAddress: IpAddr; readonly localAddress: IpAddr } {
  if (remoteAddress !== unspecified[6]) return { peerAddress: remoteAddress, localAddress };
  const family = ipFamily(peer.address);
  return { peerAddress: peer.address, localAddress: peer.localAddress ?? unspecified[family] };
}

function asesOf(peer: PeerConfig, established: Established | undefined) {
  return { peerAs: established?.negotiated.peerAs ?? peer.remoteAs, localAs: peer.localAs };
}

function hasAddPath(
  negotiated: Negotiated | undefined,
  direction: TappedMessages["direction"],
): boolean {
  const { receive = [], send = [] } = negotiated?.addPath ?? {};
  return (direction === "received" ? receive : send).length > 0;
}

function splitMessages(bytes: Uint8Array): Uint8Array[] {
  const messages: Uint8Array[] = [];
  for (let at = 0; at + 19 <= bytes.length; ) {
    const length = ((bytes[at + 16] ?? 0) << 8) | (bytes[at + 17] ?? 0);
    messages.push(bytes.subarray(at, at + length));
    at += length;
  }
  return messages;
}
