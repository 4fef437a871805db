#!/usr/bin/env bash
# Stops the node that start.sh started with the same settings, and no other process.
#   stop.sh [--wipe]     --wipe  removes the node's data, settings and logs as well
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
say() { echo "elasticsearch: $*" >&2; }
case ${1:-} in
  '' | --wipe) ;;
  *) say "usage: stop.sh [--wipe]"; exit 2 ;;
esac

if is_ours; then
  pid=$(cat "$pid_file")
  kill -TERM "$pid"
  end=$((SECONDS + ${ES_STOP_TIMEOUT:-60}))
  while is_ours; do
    if [ "$SECONDS" -ge "$end" ]; then
      say "$pid did not end in time, killing it"
      kill -KILL "$pid" || :
      end=$((SECONDS + 5))
    fi
    sleep 0.2
  done
fi
rm -f "$pid_file"
[ "${1:-}" != --wipe ] || rm -rf "$ES_DATA_DIR"
