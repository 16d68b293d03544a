import { connect } from "node:net";

/** The process that ExaBGP runs: what it writes goes to a unix socket, and what comes from there is a command. */
const socket = connect(process.argv[2] ?? "");
process.stdin.pipe(socket).pipe(process.stdout);
// The test has ended.
socket.on("error", () => process.exit());
