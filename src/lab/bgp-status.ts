import { connect } from "node:net";

/** A BGP session as `tortie bgp` reports it on its status socket. */
export interface BgpPeerState {
  readonly address: string;
  readonly state: string;
}

/** Sessions of one node. None when `tortie bgp` does not run or does not answer. */
export async function readBgpPeers(socketPath: string): Promise<readonly BgpPeerState[]> {
  try {
    const status = JSON.parse(await ask(socketPath, "status\n")) as {
      peers: readonly BgpPeerState[];
    };
    return status.peers.map(({ address, state }) => ({ address, state }));
  } catch {
    return [];
  }
}

function ask(socketPath: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(socketPath, () => socket.write(request));
    socket.setTimeout(2000, () => socket.destroy(new Error("no answer")));
    socket.on("error", reject);
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("end", () => resolve(Buffer.concat(chunks).toString()));
  });
}
