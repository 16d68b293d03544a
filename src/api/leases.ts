/**
 * The namespace of our Leases, which has nothing else: who may write Leases there can take nobody's office but
 * ours. In Kubernetes the manifests make it.
 */
export const leaseNamespace = "tortie-system";
