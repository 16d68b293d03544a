import { ipFamily } from "../../lib/ip-addr.ts";
import type { DecodeContext } from "../wire/context.ts";
import type { OpenMessage } from "../wire/message.ts";
import { negotiate } from "./negotiate.ts";
import type { Negotiated, PeerConfig } from "./peer.ts";
import type { Connection } from "./transport.ts";

/** What both ends agree on for a session on this connection. `timers`: those of the FSM. */
export function agree(
  opens: { readonly local: OpenMessage; readonly remote: OpenMessage },
  timers: { readonly holdSeconds: number; readonly keepaliveSeconds: number },
  connection: Connection,
): Negotiated {
  const { localAddress, remoteAddress: peerAddress, localPort, remotePort } = connection;
  const negotiated = negotiate(opens, { ...timers, localAddress, peerAddress });
  const hasPorts = localPort !== undefined && remotePort !== undefined;
  return {
    ...negotiated,
    offeredHoldSeconds: { local: opens.local.holdSeconds, remote: opens.remote.holdSeconds },
    ...(hasPorts && { ports: { local: localPort, remote: remotePort } }),
    ...otherAddress(negotiated, connection),
  };
}

/** Only where it is needed: the interfaces of a node with many pods are many. */
function otherAddress(
  { families, localAddress }: Negotiated,
  connection: Connection,
): Pick<Negotiated, "otherLocalAddress"> {
  if (families.every((family) => family === ipFamily(localAddress))) return {};
  const { otherLocalAddress } = connection;
  return otherLocalAddress === undefined ? {} : { otherLocalAddress };
}

/** How the messages of the session are to be read. Pure. */
export function decodeContextOf(negotiated: Negotiated, peer: PeerConfig): DecodeContext {
  return {
    fourOctetAs: negotiated.fourOctetAs,
    families: negotiated.families,
    external: peer.remoteAs !== peer.localAs,
    addPath: negotiated.addPath?.receive ?? [],
    extendedNextHop: negotiated.extendedNextHop === true,
  };
}
