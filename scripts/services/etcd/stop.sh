#!/usr/bin/env bash
# Stops the etcd that start.sh started with the same settings, and no other process.
#   stop.sh [--kill] [--wipe]
#   --kill  SIGKILL at once, as a crash would (default: SIGTERM, then SIGKILL after 20 s)
#   --wipe  removes its data and logs as well
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
sig=TERM wipe=''
for a in "$@"; do
  case $a in
    --kill) sig=KILL ;;
    --wipe) wipe=1 ;;
    *) say "usage: stop.sh [--kill] [--wipe]"; exit 2 ;;
  esac
done

exec 9>"$ETCD_DATA_DIR/run/lock"
flock 9 # a start that is under way is stopped when it is done
if is_ours; then
  pid=$(cat "$pid_file")
  kill -s "$sig" "$pid"
  end=$((SECONDS + 20))
  while is_ours; do
    [ "$SECONDS" -lt "$end" ] || kill -s KILL "$pid" || :
    sleep 0.05
  done
fi
rm -f "$pid_file"
[ -z "$wipe" ] || rm -rf "$ETCD_DATA_DIR"
