import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { cannotMakeNetns } from "../support/netns.ts";
import type { RawBgpPeer } from "../support/raw-bgp-peer.ts";
import { waitFor } from "../support/wait-for.ts";
import { attributeRows } from "./malformed/attributes.ts";
import { framingRows } from "./malformed/framing.ts";
import { MalformedLab, RowPeer } from "./malformed/lab.ts";
import { firstMessages, laterMessage } from "./malformed/octets.ts";
import { openRows } from "./malformed/opens.ts";
import type { MalformedRow, Outcome } from "./malformed/row.ts";
import { valueRows } from "./malformed/values.ts";

const malformedRows = [...attributeRows, ...valueRows, ...framingRows];
const allPeers = [...malformedRows, ...openRows].map(
  ({ internal }, i) => new RowPeer(i + 1, internal === true),
);

describe("tortie bgp with malformed messages", { skip: cannotMakeNetns() }, () => {
  let lab: MalformedLab;

  before(async () => {
    lab = await MalformedLab.make(allPeers);
  });

  after(() => lab?.remove());

  describe("while Established", { concurrency: 8 }, () => {
    for (const [i, row] of malformedRows.entries()) {
      test(`${row.rule}: ${row.error}: ${row.outcome.kind}`, async () => {
        const peer = allPeers[i] as RowPeer;
        const session = await peer.established();
        try {
          for (const octets of firstMessages(peer.isInternal)) session.send(peer.octets(octets));
          for (const which of ["bad", "other", "bad6"] as const) {
            await lab.hears(peer.prefix(which));
          }
          await checkRow(lab, row, { peer, session });
        } finally {
          session.close();
        }
      });
    }
  });

  describe("before that", { concurrency: 8 }, () => {
    for (const [i, row] of openRows.entries()) {
      test(`${row.rule}: ${row.error}: ${row.notification}`, async () => {
        const peer = allPeers[malformedRows.length + i] as RowPeer;
        const [first = "", ...others] = row.messages;
        const session = peer.opening(peer.octets(first));
        for (const octets of others) session.send(peer.octets(octets));
        await ended(session, row.notification);
        const { data = [] } = session.notification ?? {};
        if (row.data !== undefined) assert.deepEqual(data, peer.octets(row.data));
        assert.match((await lab.detail(peer)).lastError ?? "", row.words);
      });
    }
  });

  test("the other sessions have not noticed", () => assert.ok(lab.isUndisturbed));
});

/** What one row is about: its peer has told `told`, all that it may lose. */
interface Party {
  readonly peer: RowPeer;
  readonly session: RawBgpPeer;
}

async function checkRow(lab: MalformedLab, row: MalformedRow, party: Party): Promise<void> {
  const { peer, session } = party;
  const before = await lab.detail(peer);
  session.send(peer.octets(row.message));
  if (row.outcome.kind === "reset") {
    await ended(session, row.outcome.notification);
    for (const which of ["bad", "other", "bad6"] as const) await lab.hearsNo(peer.prefix(which));
    const { state, lastError } = await lab.detail(peer);
    assert.notEqual(state, "Established");
    assert.match(lastError ?? "", row.words);
    return;
  }
  session.send(peer.octets(laterMessage(peer.isInternal)));
  await lab.hears(peer.prefix("later"));
  const { state, since, lastError, counters } = await lab.detail(peer);
  assert.deepEqual([state, since], [before.state, before.since]);
  assert.match(lastError ?? "", row.words);
  const { kind } = row.outcome;
  assert.equal(counters?.treatedAsWithdraw, kind === "withdraw" ? 1 : 0);
  assert.equal(counters?.attributeDiscard, kind === "discard" ? 1 : 0);
  assert.equal(lab.heard(peer.prefix("other"))?.attributes?.med, 1);
  if (row.outcome.kind === "withdraw") await checkWithdraw(lab, row.outcome, peer);
  else await checkDiscard(lab, row.outcome, peer);
}

/** The session has ended, with this NOTIFICATION. */
async function ended(session: RawBgpPeer, notification: string): Promise<void> {
  await waitFor(() => session.isClosed, { what: "the end of the session" });
  const { code, subcode } = session.notification ?? {};
  assert.equal(`${code}/${subcode}`, notification);
}

async function checkWithdraw(
  lab: MalformedLab,
  { family }: Extract<Outcome, { kind: "withdraw" }>,
  peer: RowPeer,
): Promise<void> {
  await lab.hearsNo(peer.prefix(family === 4 ? "bad" : "bad6"));
  assert.ok(lab.heard(peer.prefix(family === 4 ? "bad6" : "bad")) !== undefined);
}

async function checkDiscard(
  lab: MalformedLab,
  { without, kept = {} }: Extract<Outcome, { kind: "discard" }>,
  peer: RowPeer,
): Promise<void> {
  const attributes = await waitFor(
    () => {
      const heard = lab.heard(peer.prefix("bad"))?.attributes;
      return heard?.med === 1 ? undefined : heard;
    },
    { what: "the route of the malformed message" },
  );
  assert.deepEqual({ ...attributes, ...kept }, attributes);
  assert.ok(without === undefined || !(without in attributes));
}
