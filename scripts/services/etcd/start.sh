#!/usr/bin/env bash
# Starts one real etcd on 127.0.0.1 and prints its URL. Settings: env.sh. Safe to call again.
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

exec 9>"$ETCD_DATA_DIR/run/lock"
flock 9 # two callers at once: the second finds the first's server
if is_ours; then echo "$url"; exit 0; fi
if (exec 3<>"/dev/tcp/127.0.0.1/$ETCD_PORT") 2>/dev/null; then say "port $ETCD_PORT is taken by something else"; exit 1; fi
command -v etcd >/dev/null || { say "etcd is missing (Debian package etcd-server)"; exit 1; }

arguments=(
  "--data-dir=$ETCD_DATA_DIR/data" --name=dev
  "--listen-client-urls=$url" "--advertise-client-urls=$url"
  "--listen-peer-urls=http://127.0.0.1:$ETCD_PEER_PORT" "--initial-advertise-peer-urls=http://127.0.0.1:$ETCD_PEER_PORT"
  "--initial-cluster=dev=http://127.0.0.1:$ETCD_PEER_PORT"
  --logger=zap --log-level=warn
)
[ -z "${ETCD_QUOTA_BYTES:-}" ] || arguments+=("--quota-backend-bytes=$ETCD_QUOTA_BYTES")
[ -z "${ETCD_REQUEST_MAX:-}" ] || arguments+=("--max-request-bytes=$ETCD_REQUEST_MAX")
if [ -n "${ETCD_TLS:-}" ]; then
  arguments+=("--cert-file=$ETCD_TLS/server.pem" "--key-file=$ETCD_TLS/server.key")
  [ -z "${ETCD_TLS_CLIENTS:-}" ] || arguments+=("--trusted-ca-file=$ETCD_TLS/ca.pem" --client-cert-auth)
fi
# It takes variables for its own settings, ours among them.
env -i PATH="$PATH" HOME="${HOME:-/}" setsid etcd "${arguments[@]}" \
  </dev/null >>"$ETCD_DATA_DIR/run/etcd.log" 2>&1 9>&- &
pid=$!
echo "$pid" >"$pid_file"

# Ready when it has a leader. Asked without a user, a server with users refuses, and so has one.
ready() { ctl get / 2>&1 | grep -qvE 'connection refused|deadline exceeded|no leader' || ctl get / >/dev/null 2>&1; }
deadline=$((SECONDS + ETCD_START_TIMEOUT))
until ready; do
  if ! kill -0 "$pid" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
    tail -n 20 "$ETCD_DATA_DIR/run/etcd.log" >&2
    say "it did not start; its log is $ETCD_DATA_DIR/run/etcd.log"
    exit 1
  fi
  sleep 0.1
done
if [ -n "${ETCD_ROOT:-}" ] && ! [ -e "$ETCD_DATA_DIR/run/users" ]; then
  ctl user add "root:$ETCD_ROOT" >/dev/null
  ctl user grant-role root root >/dev/null
  ctl auth enable >/dev/null
  touch "$ETCD_DATA_DIR/run/users"
fi
echo "$url"
