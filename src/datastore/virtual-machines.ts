/** A virtual machine of KubeVirt, as its pod's owner names it (facts 3.12). */
export interface PodMachine {
  readonly namespace: string;
  readonly name: string;
  /** Of the VirtualMachineInstance. */
  readonly instanceUid: string;
  /** Of the VirtualMachine, where the instance has one. */
  readonly machineUid?: string;
  /** The pod is where the machine is to move to: of this VirtualMachineInstanceMigration. */
  readonly migrationUid?: string;
}

/**
 * - `ending`: it is being deleted;
 * - `gone`: neither VirtualMachine nor VirtualMachineInstance is there;
 * - `unknown`: the server has no KubeVirt, so nobody can say.
 */
export type MachineState = "there" | "ending" | "gone" | "unknown";

/** What Kubernetes knows of virtual machines. Each answer is read anew. */
export interface VirtualMachines {
  /**
   * The machine that a pod runs; undefined when it runs none.
   *
   * @throws {InputError} when the pod is not there, or its owner is not the instance that it names
   * @throws {DatastoreError} forbidden, unavailable
   */
  ofPod(pod: {
    readonly namespace: string;
    readonly name: string;
  }): Promise<PodMachine | undefined>;
  /** @throws {DatastoreError} forbidden, unavailable */
  stateOf(machine: { readonly namespace: string; readonly name: string }): Promise<MachineState>;
}
