import { shortTime } from "../bgp/bird-socket/times.ts";
import { defaultControlPath } from "../bgp/control/control-path.ts";
import type { PeerRow } from "../bgp/control/peer-views.ts";
import { InputError } from "../lib/errors.ts";
import { type OptionSpecs, parseArguments, verbHelp } from "./arguments.ts";
import { askControl } from "./control-client.ts";
import type { CommandIo } from "./io.ts";
import { framedTable } from "./output/framed-table.ts";

const options: OptionSpecs = {
  socket: { value: "PATH", help: "the speaker's control socket (TORTIE_RUN_DIR/bgp.sock)" },
  "allow-version-mismatch": {},
  help: { short: "h", help: "show this" },
};

/** What calicoctl calls the types that it shows (facts 5.20); others it does not know. */
const typeNames: Readonly<Record<string, string>> = {
  NodeMesh: "node-to-node mesh",
  NodePeer: "node specific",
  GlobalPeer: "global",
};

const heading = ["Peer address", "Peer type", "State", "Since", "Info"];

/** `tortie node status`: the sessions of this node's speaker, as calicoctl prints them. */
export async function runNodeStatus(
  argv: readonly string[],
  io: CommandIo,
  now: Date = new Date(),
): Promise<number> {
  const args = parseArguments(argv, options);
  if (args.has("help")) {
    io.stdout.write(verbHelp("the BGP sessions of this node", "tortie node status", options));
    return 0;
  }
  const path = args.value("socket") ?? defaultControlPath(io.env);
  const peers: PeerRow[] = [];
  try {
    for await (const row of askControl(path, { request: "peers" })) peers.push(row as PeerRow);
  } catch (error) {
    throw new InputError("Calico process is not running.", { cause: error });
  }
  const [v4, v6] = [
    peers.filter(({ address }) => !address.includes(":")),
    peers.filter(({ address }) => address.includes(":")),
  ];
  io.stdout.write(
    `Calico process is running.\n\n${familyText(4, v4, now)}\n${familyText(6, v6, now)}\n`,
  );
  return 0;
}

function familyText(family: 4 | 6, peers: readonly PeerRow[], now: Date): string {
  const rows = peers.flatMap(({ address, type, state, since, reason }) => {
    const name = typeNames[type];
    const isUp = state === "Established";
    const info = isUp || reason === "" ? state : `${state} ${reason}`;
    const told = shortTime(new Date(since), now);
    return name === undefined ? [] : [[address, name, isUp ? "up" : "start", told, info]];
  });
  const table = rows.length === 0 ? `No IPv${family} peers found.\n` : framedTable(heading, rows);
  return `IPv${family} BGP status\n${table}`;
}
