import { connect } from "node:net";

/**
 * Runs in a pod's namespace. For each address that it is told: tries port 80 of it every few milliseconds
 * until an answer comes, and says so. A port that nobody listens on is refused by the pod itself: the
 * packet was let through.
 */

const port = 80;
const everyMs = 2;

process.on("message", (address: string) => {
  let answered = false;
  const attempt = () => {
    const socket = connect({ host: address, port });
    socket.on("error", ({ code }: NodeJS.ErrnoException) => {
      if (code !== "ECONNREFUSED" || answered) return;
      answered = true;
      clearInterval(timer);
      process.send?.("answered");
    });
  };
  const timer = setInterval(attempt, everyMs);
  attempt();
});
process.on("disconnect", () => process.exit(0));
process.send?.("ready");
