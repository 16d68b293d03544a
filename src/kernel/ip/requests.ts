import type { KernelFailure } from "../kernel.ts";
import type { MessageWriter } from "../netlink/message.ts";
import { isErrno } from "../netlink/netlink-error.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";

/** NLM_F_ flags of requests that make something. */
export const flag = { replace: 0x100, exclusive: 0x200, create: 0x400 } as const;

export const errnos = {
  ENOENT: 2,
  ESRCH: 3,
  EACCES: 13,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EADDRNOTAVAIL: 99,
  ENETUNREACH: 101,
  EHOSTUNREACH: 113,
} as const;

/** One request an entry, and which refusals are none because the kernel is as asked already. */
export interface EntryRequest<Entry> {
  readonly type: number;
  readonly flags: number;
  readonly fine: readonly number[];
  fill(writer: MessageWriter, entry: Entry): void;
}

/** Applies one request an entry, and gives back the entries that failed. */
export async function applyEntries<Entry>(
  socket: NetlinkSocket,
  entries: readonly Entry[],
  { type, flags, fine, fill }: EntryRequest<Entry>,
): Promise<KernelFailure<Entry>[]> {
  const failures = await socket.batch(
    entries.map((entry) => ({ type, flags, fill: (writer) => fill(writer, entry) })),
  );
  return failures.flatMap(({ index, errno, message }) => {
    const entry = entries[index];
    return entry === undefined || fine.includes(errno) ? [] : [{ entry, errno, message }];
  });
}

/** Awaits a request; these refusals are none. */
export async function unless(fine: readonly number[], request: Promise<void>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (!isErrno(error, ...fine)) throw error;
  }
}
