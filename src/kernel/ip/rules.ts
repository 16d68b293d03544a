import type { RoutingRule, RoutingRules } from "../kernel.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { errnos, flag, unless } from "./requests.ts";
import { addressFamilies } from "./route-message.ts";
import { readRule, ruleMessage, writeRule } from "./rule-message.ts";

/** The routing policy rules of a socket's network namespace. */
export function routingRules(socket: NetlinkSocket): RoutingRules {
  const change = (type: number, flags: number, rule: RoutingRule) =>
    socket.request(
      { type, flags, fill: (writer) => writeRule(writer, rule) },
      `Cannot ${type === ruleMessage.new ? "add" : "remove"} routing rule ${rule.priority}`,
    );
  return {
    list: async (family) => {
      const header = Buffer.alloc(12);
      header[0] = addressFamilies[family];
      const rules = await socket.dump(
        { type: ruleMessage.get, flags: 0, fill: (writer) => writer.header(header) },
        "Cannot list routing rules",
        ({ body }) => readRule(body),
      );
      return rules.filter((rule) => rule.family === family);
    },
    add: (rule) =>
      unless([errnos.EEXIST], change(ruleMessage.new, flag.create | flag.exclusive, rule)),
    remove: (rule) => unless([errnos.ENOENT], change(ruleMessage.delete, 0, rule)),
  };
}
