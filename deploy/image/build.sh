#!/bin/sh
# Builds the image with podman, buildah or docker, whichever is there, for this machine's architecture.
#
#   sh deploy/image/build.sh                          localhost/tortie:0.1.0, which deploy/*.yaml name
#   sh deploy/image/build.sh REGISTRY/tortie:0.1.0    under another name
#   sh deploy/image/build.sh --stock REGISTRY         REGISTRY/node, /cni and /kube-controllers, for calico.yaml
#
# BASE=IMAGE  another Debian to build on
set -eu
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^ *"version": "\(.*\)",$/\1/p' package.json)
for builder in podman buildah docker; do
  command -v "$builder" >/dev/null 2>&1 && break
  builder=""
done
[ -n "$builder" ] || { echo "needs podman, buildah or docker" >&2; exit 1; }

build() {
  # shellcheck disable=SC2086
  "$builder" build ${BUILD_OPTIONS-} ${BASE:+--build-arg "BASE=$BASE"} \
    -f deploy/image/Dockerfile --target "$1" -t "$2" .
}

if [ "${1-}" = --stock ]; then
  registry=${2:?the registry is missing}
  for name in node cni kube-controllers; do build "$name" "$registry/$name:v$version"; done
else
  build node "${1:-localhost/tortie:$version}"
fi
