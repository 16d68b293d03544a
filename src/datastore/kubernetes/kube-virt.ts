import { InputError } from "../../lib/errors.ts";
import type { MachineState, PodMachine, VirtualMachines } from "../virtual-machines.ts";
import { type Collection, objectPath, podCollection } from "./collections.ts";
import type { Found, KubeHttp } from "./kube-http.ts";
import type { KubeObject, OwnerReference } from "./kube-object.ts";

const apiVersion = "kubevirt.io/v1";
const migrationLabel = "kubevirt.io/migrationJobUID";

const machines: Collection = {
  apiVersion,
  kind: "VirtualMachine",
  plural: "virtualmachines",
  namespaced: true,
};
const instances: Collection = {
  apiVersion,
  kind: "VirtualMachineInstance",
  plural: "virtualmachineinstances",
  namespaced: true,
};

interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}

/** Virtual machines as KubeVirt's objects tell them: never listed, read one by one. */
export class KubeVirt implements VirtualMachines {
  readonly #http: Pick<KubeHttp, "find">;

  constructor(http: Pick<KubeHttp, "find">) {
    this.#http = http;
  }

  async ofPod(pod: ObjectName): Promise<PodMachine | undefined> {
    const what = `pod ${pod.namespace}/${pod.name}`;
    const found = await this.#find(podCollection, pod);
    if (found.object === undefined) {
      throw new InputError(`Cannot tell whether ${what} runs a virtual machine: it is not there`);
    }
    const { labels = {}, ownerReferences = [] } = found.object.metadata;
    const owner = ownerReferences.find((each) => isOf(each, instances) && each.controller === true);
    if (owner === undefined) return undefined;
    const { name, uid } = owner;
    const { object: instance } = await this.#find(instances, { ...pod, name });
    if (instance?.metadata.uid !== uid) {
      const present =
        instance === undefined ? "it is not there" : `its uid is ${instance.metadata.uid}`;
      throw new InputError(
        `Cannot tell which virtual machine ${what} runs: its owner is the VirtualMachineInstance ${name} with uid ${uid}, and ${present}`,
      );
    }
    const machine = instance.metadata.ownerReferences?.find((each) => isOf(each, machines));
    const migration = labels[migrationLabel];
    return {
      namespace: pod.namespace,
      name,
      instanceUid: uid,
      ...(machine === undefined ? {} : { machineUid: machine.uid }),
      ...(migration ? { migrationUid: migration } : {}),
    };
  }

  /** A machine and its instance have one name. */
  async stateOf(name: ObjectName): Promise<MachineState> {
    for (const collection of [machines, instances]) {
      const { object, isKnownKind } = await this.#find(collection, name);
      if (object !== undefined) return isEnding(object) ? "ending" : "there";
      if (!isKnownKind) return "unknown";
    }
    return "gone";
  }

  #find(collection: Collection, name: ObjectName): Promise<Found> {
    const asked = { verb: "get", collection } as const;
    return this.#http.find({ method: "GET", path: objectPath(collection, name), asked });
  }
}

function isOf(owner: OwnerReference, collection: Collection): boolean {
  return owner.apiVersion === collection.apiVersion && owner.kind === collection.kind;
}

function isEnding({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined && metadata.deletionTimestamp !== null;
}
