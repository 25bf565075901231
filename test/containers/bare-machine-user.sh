#!/usr/bin/env bash
# What bare-machine.sh does inside, in the folder of the checkout, on a terminal as a person would.
set -euo pipefail

if command -v redis-server valkey-server docker; then
  echo 'This machine is not bare.' >&2
  exit 1
fi
id

# start: `npm start` on a terminal; what is written to file descriptor 3 is typed there.
start() {
  rm -f keyboard && mkfifo keyboard
  script --quiet --flush --command 'npm start' terminal.log <keyboard >/dev/null &
  terminal=$!
  exec 3>keyboard
  local deadline=$((SECONDS + 120))
  until grep -q 'Ctrl-C stops it' terminal.log 2>/dev/null; do
    if ! kill -0 "$terminal" || [ "$SECONDS" -gt "$deadline" ]; then
      cat terminal.log >&2
      return 1
    fi
    sleep 0.2
  done
}

ctrl_c() {
  printf '\003' >&3
  wait "$terminal" || true
  exec 3>&-
  local process
  for process in /proc/[0-9]*; do
    case "$(readlink "$process/exe")" in
      */node | *redis* | *valkey*) tr '\0' ' ' <"$process/cmdline" && echo 'outlived Ctrl-C' && return 1 ;;
    esac
  done
}

# smoke WHAT…: with the defaults, where the banner says they are.
smoke() {
  PUBLIC_URL=http://127.0.0.1:8080 INTERNAL_URL=http://127.0.0.1:8081 ADMIN_TOKEN=$(cat .data/admin-token) \
    node test/containers/smoke.ts "$@"
}

npm ci || npm ci # The network may cut it off once.
SECONDS=0
start
echo "running $SECONDS s after npm start"
tr -d '\r' <terminal.log | sed -n '/setstream is running/,$p'

# The lines to copy, as they stand.
tr -d '\r' <terminal.log | sed -n '/^  ADMIN=/,/^Ctrl-C/{/^Ctrl-C/d;p}' >lines-to-copy.sh
bash -e lines-to-copy.sh | tee answers
grep -q '"status":"queued"' answers
grep -q '{"sets":{"[^"]*":"[^"]*"}}' answers
grep -q '{"sets":{}}$' answers

[ "$(stat --format %a .data/admin-token)" = 600 ]
smoke all
smoke publish published.json
ctrl_c
start
smoke collect published.json
ctrl_c
rm -f keyboard terminal.log lines-to-copy.sh answers published.json

npm run demo
npm test
