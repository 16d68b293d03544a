/** Metadata as every resource carries it. Unknown fields are kept on update. */
export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Opaque. Set by the datastore; an update must carry the one it read. */
  readonly resourceVersion?: string;
  readonly uid?: string;
  /** RFC 3339. */
  readonly creationTimestamp?: string;
  readonly generateName?: string;
  /** Set by an API server that was asked to delete the object, and waits for its finalizers. */
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
}

/** One object of the datastore, in its v3 form. */
export interface Resource<Kind extends string = string, Spec = unknown, Status = unknown> {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: Metadata;
  readonly spec: Spec;
  readonly status?: Status;
}

export const calicoApiVersion = "projectcalico.org/v3";
