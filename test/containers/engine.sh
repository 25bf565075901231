#!/usr/bin/env bash
# A Docker engine of our own, for as long as a test run lasts: data, socket and pid under one directory.
#
#   engine.sh start DIRECTORY     ends once it answers; DIRECTORY/host is then what DOCKER_HOST has to be
#   engine.sh stop DIRECTORY      ends once it, its containers and what it left in the kernel's tables are gone; so too
#                                 where it was killed long ago
#
# Needs root and `dockerd`. DIRECTORY is short, because a socket's path is at most 107 bytes.
set -euo pipefail

action=${1:?start or stop} directory=${2:?directory}
socket=unix://$directory/docker.sock

start() {
  mkdir -p "$directory"
  cat /proc/sys/net/ipv4/ip_forward >"$directory/ip_forward"
  iptables-save >"$directory/iptables" 2>/dev/null || true
  ls /sys/class/net >"$directory/interfaces"
  # A session of its own: what ends this script's process group must not end the engine.
  setsid dockerd --host "$socket" --data-root "$directory/data" --exec-root "$directory/exec" \
    --pidfile "$directory/docker.pid" >"$directory/dockerd.log" 2>&1 </dev/null &
  local pid=$!
  echo "$pid" >"$directory/pid"
  for _ in $(seq 150); do
    if docker --host "$socket" version >/dev/null 2>&1; then
      echo "$socket" >"$directory/host"
      return
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
  tail -n 20 "$directory/dockerd.log" >&2
  stop
  return 1
}

stop() {
  local pid containers
  pid=$(cat "$directory/pid" 2>/dev/null) || return 0
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
    mapfile -t containers < <(docker --host "$socket" ps --all --quiet 2>/dev/null)
    [ "${#containers[@]}" = 0 ] || docker --host "$socket" rm --force --volumes "${containers[@]}" >/dev/null || true
    kill "$pid"
    for _ in $(seq 150); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.2
    done
    kill -KILL "$pid" 2>/dev/null || true
  fi
  unmount
  restore_network
  rm -f "$directory/pid" "$directory/host"
}

# An engine that was killed leaves its containers' file systems and network namespaces mounted. Such a namespace still
# answers on the bridge, with the address that the next engine gives to its own first container.
unmount() {
  local point
  while read -r point; do
    umount --lazy "$point" || true
  done < <(cut -d ' ' -f 2 /proc/self/mounts | grep -F "$directory/" | sort --reverse)
}

# The engine leaves its bridge and its rules behind, among them one that drops what the machine forwards.
restore_network() {
  local table
  # Another engine on this machine works with the same ones.
  if grep -qsx dockerd /proc/[0-9]*/comm; then return; fi
  for table in filter nat; do
    if ! grep -q "^\*$table" "$directory/iptables"; then
      iptables -t "$table" -F && iptables -t "$table" -X
    fi
  done 2>/dev/null
  if [ -s "$directory/iptables" ]; then
    iptables-restore <"$directory/iptables" || true
  else
    iptables -P FORWARD ACCEPT 2>/dev/null || true
  fi
  cat "$directory/ip_forward" >/proc/sys/net/ipv4/ip_forward
  if ! grep -q '^docker0$' "$directory/interfaces" && command -v ip >/dev/null; then
    ip link delete docker0 2>/dev/null || true
  fi
}

"$action"
