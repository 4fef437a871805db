# Sourced by start.sh and stop.sh: settings with their defaults, all of them overridable from the environment.
#   ETCD_PORT         for clients, on 127.0.0.1 (2379); the peers' is ETCD_PEER_PORT (default ETCD_PORT + 1)
#   ETCD_DATA_DIR     data, logs, pid file (default under XDG_STATE_HOME)
#   ETCD_QUOTA_BYTES  how much it stores before it takes nothing more (etcd's own default: 2 GB)
#   ETCD_REQUEST_MAX  the most bytes of one request (etcd's own default: 1.5 MiB)
#   ETCD_TLS          a directory with ca.pem, server.pem and server.key: clients come with TLS
#   ETCD_TLS_CLIENTS  not empty: and with a certificate that ca.pem signed; client.pem and client.key are used here
#   ETCD_ROOT         the password of a user root: users are asked for
#   ETCD_START_TIMEOUT  seconds to wait (60)
set -euo pipefail
ETCD_PORT=${ETCD_PORT:-2379}
ETCD_PEER_PORT=${ETCD_PEER_PORT:-$((ETCD_PORT + 1))}
ETCD_DATA_DIR=${ETCD_DATA_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/logdrive/etcd-$ETCD_PORT}
ETCD_START_TIMEOUT=${ETCD_START_TIMEOUT:-60}
mkdir -p "$ETCD_DATA_DIR/run"
ETCD_DATA_DIR=$(cd "$ETCD_DATA_DIR" && pwd -P)
pid_file=$ETCD_DATA_DIR/run/etcd.pid
scheme=http
[ -z "${ETCD_TLS:-}" ] || scheme=https
url=$scheme://127.0.0.1:$ETCD_PORT

say() { echo "etcd: $*" >&2; }

# True when the pid in the pid file is a live process that was started for this very data directory.
is_ours() {
  local pid
  pid=$(cat "$pid_file" 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null &&
    tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF -- "--data-dir=$ETCD_DATA_DIR/data"
}

# etcd's own tool. Our settings have names that it would take for its own.
ctl() {
  local tls=()
  [ -z "${ETCD_TLS:-}" ] || tls=(--cacert "$ETCD_TLS/ca.pem")
  [ -z "${ETCD_TLS_CLIENTS:-}" ] || tls+=(--cert "$ETCD_TLS/client.pem" --key "$ETCD_TLS/client.key")
  env -i PATH="$PATH" HOME="${HOME:-/}" ETCDCTL_API=3 etcdctl --endpoints "$url" "${tls[@]}" "$@"
}
