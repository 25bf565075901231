#!/usr/bin/env bash
# Checks ops/ with Prometheus's own programs: the rules and their unit tests, and that every panel of the dashboards finds
# something in what a running transmitter exports. Needs `npm ci`.
#
#   bash test/ops/check.sh             with the promtool and prometheus of PATH
#   CI=true bash test/ops/check.sh     gets them from Debian's package prometheus, without installing it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The project's own Node.js goes before the machine's.
PATH=$PWD/node_modules/.bin:$PATH
work=$(mktemp -d /tmp/setstream-ops.XXXXXX)
trap 'rm -rf "$work"' EXIT

# Its programs, and nothing of what the package does to a system: no user, no service.
fetch_prometheus() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  (
    cd "$work"
    apt-get download prometheus || { apt-get update && apt-get download prometheus; }
    dpkg-deb --extract prometheus_*.deb prometheus
  )
  PATH=$work/prometheus/usr/bin:$PATH
}

if ! command -v promtool >/dev/null || ! command -v prometheus >/dev/null; then
  if [ -z "${CI:-}" ] || ! fetch_prometheus; then
    echo 'promtool and prometheus are needed: apt-get install prometheus, or CI=true where Debian packages can be fetched.' >&2
    exit 1
  fi
fi
PROMTOOL=$(command -v promtool)
PROMETHEUS=$(command -v prometheus)
export PROMTOOL PROMETHEUS
"$PROMTOOL" --version | head -n 1

"$PROMTOOL" check rules ops/prometheus/setstream.rules.yml
"$PROMTOOL" test rules test/ops/setstream.rules.test.yml
vitest run --config test/ops/vitest.config.ts

# Where there is Compose, it has the last word on the profile.
compose() {
  if docker compose version >/dev/null 2>&1; then docker compose "$@"; else docker-compose "$@"; fi
}
if compose version >/dev/null 2>&1; then
  ADMIN_TOKEN=only-to-be-parsed compose --profile observability config --quiet
  echo 'docker-compose.yml: the profile observability is valid'
fi
