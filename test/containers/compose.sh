#!/usr/bin/env bash
# Brings up docker-compose.yml as it stands, uses it from outside, stops it as an operator would and starts it again.
#
#   compose.sh REDIS_IMAGE NODE_IMAGE LOG_DIRECTORY      needs a Docker engine, Compose and `npm ci` done
set -euo pipefail

export REDIS_IMAGE=${1:?image of Redis} NODE_IMAGE=${2:?base image with Node.js} logs=${3:?directory}
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
node=$checkout/node_modules/node/bin/node
cd "$checkout"

export COMPOSE_PROJECT_NAME=setstream-ci SETSTREAM_IMAGE=setstream-ci ADMIN_TOKEN
ADMIN_TOKEN=$("$node" -p 'crypto.randomBytes(32).toString("hex")')
export PUBLIC_PORT INTERNAL_PORT
read -r PUBLIC_PORT INTERNAL_PORT < <("$node" test/containers/free-ports.ts 2)
export PUBLIC_URL=http://127.0.0.1:$PUBLIC_PORT INTERNAL_URL=http://127.0.0.1:$INTERNAL_PORT
export ISSUER=$PUBLIC_URL

compose() {
  if docker compose version >/dev/null 2>&1; then docker compose "$@"; else docker-compose "$@"; fi
}

# containers FORMAT: one line for each container of the project, stopped ones too.
containers() {
  docker ps --all --quiet --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" |
    xargs --no-run-if-empty docker inspect --format "{{index .Config.Labels \"com.docker.compose.service\"}} $1" | sort
}

# metric SERVICE NAME: what the process of that service exports now, as a whole number.
metric() {
  compose exec -T "$1" node -e '
    const text = await (await fetch("http://127.0.0.1:9464/metrics")).text()
    const line = text.split("\n").find(line => line.startsWith(`${process.argv[1]} `))
    console.log(Number(line?.split(" ")[1] ?? -1))' "$2"
}

work=$(mktemp -d /tmp/setstream-compose.XXXXXX)
finish() {
  compose logs --no-color >"$logs/compose-services.log" 2>&1 || true
  compose down --volumes --timeout 10 >"$logs/compose-down.log" 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT

compose up --detach --no-build
"$node" test/containers/smoke.ts all

echo "waiting for the containers' health checks"
expected=$'internal healthy\npublic healthy\nredis healthy\nworkers healthy'
for _ in $(seq 60); do
  health=$(containers '{{with .State.Health}}{{.Status}}{{end}}' | grep -v '^keys ')
  [ "$health" = "$expected" ] && break
  sleep 1
done
echo "$health"
[ "$health" = "$expected" ]

user=$(compose exec -T public id -u)
echo "the public process runs as user $user"
[ "$user" != 0 ]

published=$(metric internal setstream_sets_published_total) delivered=$(metric public setstream_sets_delivered_total)
"$node" test/containers/smoke.ts publish "$work/published.json"
echo "published $published, then $(metric internal setstream_sets_published_total); delivered before: $delivered"
[ "$(metric internal setstream_sets_published_total)" -gt "$published" ] && [ "$delivered" -gt 0 ]

SECONDS=0
compose stop
echo "stopped in $SECONDS s"
exits=$(containers '{{.State.ExitCode}}')
echo "$exits"
[ "$exits" = $'internal 0\nkeys 0\npublic 0\nredis 0\nworkers 0' ]

compose up --detach --no-build
"$node" test/containers/smoke.ts collect "$work/published.json"
