#!/usr/bin/env bash
# Builds the base images of our containers without an image registry: Debian's minimal system by debootstrap, with
# Debian's Redis and Valkey in one and the project's Node.js (package `node`) with npm in the other. The image of Valkey is that
# of Redis but for the server that `redis-server` means, as in the official ones.
#
#   base-images.sh REDIS_TAG VALKEY_TAG NODE_TAG      needs root, a Docker engine, debootstrap, and `npm ci` done
#
# Whatever this machine uses to reach its package registries (mirror, authorities, npm's registry) is taken over, so that
# an image build reaches what the machine reaches.
set -euo pipefail

redis_tag=${1:?tag of the Redis image} valkey_tag=${2:?tag of the Valkey image} node_tag=${3:?tag of the Node.js image}
# The release with Redis 8 and Valkey 8; the machine's own, often older, serves the tests outside containers.
readonly RELEASE=trixie
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:?not a Debian release}")
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Release: $codename" | head -n 1)
if [ -z "$mirror" ]; then
  echo "No apt source of this machine offers the release '$codename'." >&2
  exit 1
fi

work=$(mktemp -d /tmp/setstream-base.XXXXXX)
# In memory: what takes long in unpacking a system is that every file of it is flushed to the disk.
mount -t tmpfs -o size=2g tmpfs "$work"
trap 'umount "$work" && rmdir "$work"' EXIT
mkdir "$work/packages"

# bootstrap DIRECTORY PACKAGE: the second call takes from the first what both need.
bootstrap() {
  debootstrap --variant=minbase --cache-dir="$work/packages" --include="$2" "$RELEASE" "$1" "$mirror" >"$1.log" 2>&1 ||
    { tail -n 20 "$1.log" >&2 && return 1; }
  rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/* "$1"/usr/share/{doc,man,locale}
}

bootstrap "$work/redis" redis-server,valkey-server
# Like the official image: arguments go to the server, and clients in other containers are let in.
cat >"$work/redis/usr/local/bin/docker-entrypoint.sh" <<'SCRIPT'
#!/bin/sh
case "$1" in -* | '') set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ]; then
  shift
  set -- "${SERVER:-redis-server}" "$@" --protected-mode no
fi
exec "$@"
SCRIPT
chmod 755 "$work/redis/usr/local/bin/docker-entrypoint.sh"
install -d -o "$(chroot "$work/redis" id -u redis)" -g "$(chroot "$work/redis" id -g redis)" "$work/redis/data"
tar -C "$work/redis" -c . | docker import --change 'USER redis' --change 'WORKDIR /data' --change 'VOLUME /data' \
  --change 'EXPOSE 6379' --change 'ENTRYPOINT ["docker-entrypoint.sh"]' --change 'CMD ["redis-server"]' - "$redis_tag"
printf 'FROM %s\nENV SERVER=valkey-server\n' "$redis_tag" | docker build --tag "$valkey_tag" -

bootstrap "$work/node" ca-certificates,curl
chroot "$work/node" useradd --uid 1000 --create-home node
install -m 755 "$checkout/node_modules/node/bin/node" "$work/node/usr/local/bin/node"
# The npm of Node.js 24's own release line; the machine's may be older than what our lock file needs.
(cd "$work" && npm install --global --prefix "$work/node/usr/local" --no-audit --no-fund npm@11)
cp /etc/ssl/certs/ca-certificates.crt "$work/node/etc/ssl/certs/ca-certificates.crt"
install -d "$work/node/usr/local/etc"
(cd / && npm config list --json) | "$checkout/node_modules/node/bin/node" -e '
  const { registry, cafile } = JSON.parse(require("node:fs").readFileSync(0, "utf8"))
  console.log(`registry=${registry}`)
  if (cafile) console.log("cafile=/etc/ssl/certs/ca-certificates.crt")
' >"$work/node/usr/local/etc/npmrc"
tar -C "$work/node" -c . | docker import --change 'CMD ["node"]' - "$node_tag"

docker run --rm "$redis_tag" redis-server --version
docker run --rm "$valkey_tag" redis-server --version
docker run --rm "$node_tag" node --version
docker run --rm "$node_tag" npm --version
