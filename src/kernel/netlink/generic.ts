import { type Attributes, attributesOf, type MessageWriter, u16Of } from "./message.ts";
import { isErrno } from "./netlink-error.ts";
import type { NetlinkSocket } from "./socket.ts";

/** Generic netlink (linux/genetlink.h): families that have names, and numbers that differ from boot to boot. */

export const NETLINK_GENERIC = 16;

const controller = { type: 16, version: 2, getFamily: 3 } as const;
const attribute = { familyId: 1, familyName: 2 } as const;
const headerBytes = 4;
const ENOENT = 2;

/** struct genlmsghdr: command(1) version(1) reserved(2). */
export function writeGenericHeader(writer: MessageWriter, command: number, version: number): void {
  writer.header(Uint8Array.of(command, version, 0, 0));
}

/** Attributes of a generic message. */
export function genericAttributes(body: Buffer): Attributes {
  return attributesOf(body, headerBytes);
}

/** The message type of a family; undefined when the kernel has none, and no module for it. */
export async function genericFamily(
  socket: NetlinkSocket,
  name: string,
): Promise<number | undefined> {
  try {
    return await socket.query(
      {
        type: controller.type,
        flags: 0,
        fill: (writer) => {
          writeGenericHeader(writer, controller.getFamily, controller.version);
          writer.text(attribute.familyName, name);
        },
      },
      `Cannot find the kernel's ${name}`,
      ({ body }) => readFamilyId(body),
    );
  } catch (error) {
    if (isErrno(error, ENOENT)) return undefined;
    throw error;
  }
}

export function readFamilyId(body: Buffer): number | undefined {
  return u16Of(genericAttributes(body).get(attribute.familyId));
}
