import assert from "node:assert/strict";
import { test } from "node:test";
import { MetricsEndpoint } from "../../../../src/bgp/standalone/metrics-endpoint.ts";
import { aborted } from "../../../../src/lib/service.ts";
import { waitFor } from "../../../support/wait-for.ts";

test("metrics move with the file, and the old place is given up first", async () => {
  const events: string[] = [];
  const endpoint = new MetricsEndpoint(({ port }) => async (signal) => {
    events.push(`start ${port}`);
    await aborted(signal);
    events.push(`end ${port}`);
  });
  const address = "127.0.0.1";
  endpoint.apply({ address, port: 1 });
  await waitFor(() => events.length === 1);
  endpoint.apply({ address, port: 1 });
  endpoint.apply({ address, port: 2 });
  await waitFor(() => events.length === 3);
  endpoint.apply(undefined);
  await waitFor(() => events.length === 4);
  endpoint.apply({ address, port: 3 });
  await waitFor(() => events.length === 5);
  await endpoint.close();
  assert.deepEqual(events, ["start 1", "end 1", "start 2", "end 2", "start 3", "end 3"]);
});
