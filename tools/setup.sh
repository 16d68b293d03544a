#!/bin/sh
# Everything that tortie needs on a fresh Debian or Ubuntu machine. Quick when it is all there.
#
#   sh tools/setup.sh          what `npm start` needs
#   sh tools/setup.sh --test   and what `npm test` needs
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

[ "$(id -u)" = 0 ] || die "must run as root: it makes network namespaces"

packages="iproute2 iptables ipset iputils-ping util-linux procps etcd-server bird2 frr tcpdump conntrack"
# The daemons that the interop tests speak with, beside bird2 and frr, what reads our MRT files, and load.
[ "${1-}" != --test ] || packages="$packages gobgpd openbgpd exabgp bgpdump iperf3"
# What makes the base of the image that a test builds with podman.
[ "${1-}" != --test ] || packages="$packages mmdebstrap debian-archive-keyring"
# What breaks the network in tests of `node check-paths`.
[ "${1-}" != --test ] || packages="$packages nftables"
# The virtual machine of the tests that need another kernel, and what speaks SCTP there.
[ "${1-}" != --test ] || packages="$packages qemu-system-x86 busybox-static kmod cpio socat"
# The container runtimes, and the CNI project's plugins that chains name beside ours. Whoever has Docker has
# its own containerd and runc, which Debian's would remove.
if [ "${1-}" = --test ]; then
  packages="$packages containernetworking-plugins"
  for runtime in containerd runc podman; do
    command -v "$runtime" >/dev/null 2>&1 || packages="$packages $runtime"
  done
fi
compiler="gcc libc6-dev"

# dpkg knows a removed package too: only "install ok installed" counts.
missing=""
for package in $packages; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing="$missing $package"
done
command -v cc >/dev/null 2>&1 || missing="$missing $compiler"
if [ -n "$missing" ]; then
  command -v apt-get >/dev/null 2>&1 || die "needs these Debian packages:$missing"
  say "installing:$missing"
  export DEBIAN_FRONTEND=noninteractive
  # The daemons of these packages are started by us, in namespaces: never by the installation.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
  fi
  apt-get update -qq >/dev/null || say "apt-get update failed: trying with the old lists"
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $missing >/dev/null || die "cannot install:$missing"
fi

stamp=node_modules/.tortie-lock
if ! cmp -s package-lock.json "$stamp"; then
  say "npm ci"
  npm ci --no-audit --no-fund --loglevel=error >&2
  cp package-lock.json "$stamp"
fi

mkdir -p build/cni
# build_shim COMPILER FILE
build_shim() {
  [ ! "$2" -nt src/cni/shim/shim.c ] || return 0
  say "building the CNI shim $2"
  "$1" -O2 -Wall -Wextra -static -o "$2.new" src/cni/shim/shim.c
  mv "$2.new" "$2"
}
if command -v cc >/dev/null 2>&1; then
  build_shim cc build/cni/calico
else
  say "no C compiler: the CNI plugin runs as a TypeScript program"
fi
for part in tools/build-cni-plugin.ts src/lib/errors.ts src/cni/*.ts; do
  [ build/cni/plugin.cjs -nt "$part" ] || stale=yes
done
if [ -n "${stale-}" ]; then
  say "building the CNI plugin build/cni/plugin.cjs"
  node_modules/.bin/node --disable-warning=ExperimentalWarning tools/build-cni-plugin.ts build/cni/plugin.cjs
fi
# For an image of the other architecture, where somebody has installed the compiler.
for other in aarch64 x86_64; do
  [ "$other" != "$(uname -m)" ] || continue
  ! command -v "$other-linux-gnu-gcc" >/dev/null 2>&1 ||
    build_shim "$other-linux-gnu-gcc" "build/cni/calico-$other"
done

if [ "${1-}" = --test ]; then
  node_modules/.bin/node test/support/vm/vm-image.ts ||
    say "cannot unpack a kernel for the virtual machine: its tests will fail"
  for program in kube-apiserver etcd libcni coredns helm kustomize; do
    node_modules/.bin/node "test/support/$program/program.ts" ||
      say "cannot build $program: its tests will fail"
  done
fi
