import type { PeerEvent } from "../../src/bgp/peer/peer.ts";
import { plainMessage } from "./plain-message.ts";

/** An event to be looked at later: what a received UPDATE has lives only while it is handled. */
export function keptEvent(event: PeerEvent): PeerEvent {
  if (event.kind !== "update") return event;
  const update = plainMessage(event.update);
  return update.kind === "update" ? { ...event, update } : event;
}
