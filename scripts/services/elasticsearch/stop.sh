#!/usr/bin/env bash
# Stops the node that start.sh started with the same settings, and no other process.
#   stop.sh [--kill] [--wipe]
#   --kill  SIGKILL at once, as a crash would (default: SIGTERM, then SIGKILL after ES_STOP_TIMEOUT seconds)
#   --wipe  removes the node's data, settings and logs as well
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
say() { echo "elasticsearch: $*" >&2; }
sig=TERM wipe=''
for a in "$@"; do
  case $a in
    --kill) sig=KILL ;;
    --wipe) wipe=1 ;;
    *) say "usage: stop.sh [--kill] [--wipe]"; exit 2 ;;
  esac
done

exec 9>"$ES_DATA_DIR/run/start.lock"
flock 9 # a start that is under way is stopped when it is done
if is_ours; then
  pid=$(cat "$pid_file")
  kill -s "$sig" "$pid"
  end=$((SECONDS + ${ES_STOP_TIMEOUT:-60}))
  while is_ours; do
    if [ "$SECONDS" -ge "$end" ]; then
      say "$pid did not end in time, killing it"
      kill -s KILL "$pid" || :
      end=$((SECONDS + 5))
    fi
    sleep 0.2
  done
fi
rm -f "$pid_file"
[ -z "$wipe" ] || rm -rf "$ES_DATA_DIR"
