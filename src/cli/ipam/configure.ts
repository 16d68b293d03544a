import { calicoApiVersion } from "../../api/meta.ts";
import type { IPAMConfigurationSpec } from "../../api/resources/ipam.ts";
import { checkResource, problemsError } from "../../api/validate.ts";
import { isDatastoreError } from "../../datastore/datastore.ts";
import { InputError } from "../../lib/errors.ts";
import type { Arguments } from "../arguments.ts";
import type { IpamContext } from "./ipam-verb.ts";
import { configurationOf } from "./show.ts";

type Change = { -readonly [Field in keyof IPAMConfigurationSpec]: IPAMConfigurationSpec[Field] };

/** `ipam configure`: what is not given stays as it is. */
export async function runConfigure(args: Arguments, context: IpamContext): Promise<number> {
  const change = changeOf(args);
  if (Object.keys(change).length === 0) {
    throw new InputError(
      "Cannot go on without --strictaffinity, --max-blocks-per-host, --kubevirt-ip-persistence or --ip-cooldown-seconds",
    );
  }
  const store = await context.datastore();
  const key = { kind: "IPAMConfiguration", name: "default" } as const;
  const spec = { ...(await configurationOf(context)), ...change };
  const metadata = { name: "default" };
  const wanted = { apiVersion: calicoApiVersion, kind: key.kind, metadata, spec };
  const { problems, title } = checkResource(wanted);
  if (problems.length > 0) throw problemsError(title, problems);
  try {
    const present = await store.get(key);
    await store.update<"IPAMConfiguration">({ ...present, spec });
  } catch (error) {
    if (!isDatastoreError(error, "not-found")) throw error;
    await store.create<"IPAMConfiguration">(wanted);
  }
  for (const [field, value] of Object.entries(change)) {
    context.io.stdout.write(`Successfully set ${shownName(field)} to: ${value}\n`);
  }
  return 0;
}

/** As --show-configuration has it. */
function shownName(field: string): string {
  if (field === "ipCooldownSeconds") return "IPCooldownSeconds";
  return `${field[0]?.toUpperCase()}${field.slice(1)}`;
}

function changeOf(args: Arguments): Change {
  const change: Change = {};
  const strict = args.value("strictaffinity");
  if (strict !== undefined) {
    if (strict !== "true" && strict !== "false") {
      throw new InputError(`Cannot accept --strictaffinity "${strict}": it must be true or false`);
    }
    change.strictAffinity = strict === "true";
  }
  const persistence = args.value("kubevirt-ip-persistence");
  if (persistence !== undefined) {
    if (persistence !== "Enabled" && persistence !== "Disabled") {
      throw new InputError(
        `Cannot accept --kubevirt-ip-persistence "${persistence}": it must be Enabled or Disabled`,
      );
    }
    change.kubeVirtVMAddressPersistence = persistence;
  }
  const blocks = countOf(args, "max-blocks-per-host");
  if (blocks !== undefined) change.maxBlocksPerHost = blocks;
  // -1 is calicoctl's word for "as it is".
  if (args.value("ip-cooldown-seconds") !== "-1") {
    const cooldown = countOf(args, "ip-cooldown-seconds");
    if (cooldown !== undefined) change.ipCooldownSeconds = cooldown;
  }
  return change;
}

function countOf(args: Arguments, option: string): number | undefined {
  const text = args.value(option);
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InputError(`Cannot accept --${option} "${text}": it must be a number from 0 on`);
}
