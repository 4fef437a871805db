#!/usr/bin/env bash
# etcd's own tool, asking the server of the same settings: ctl.sh get --prefix /logdrive
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
user=()
[ -z "${ETCD_ROOT:-}" ] || user=(--user "root:$ETCD_ROOT")
ctl "${user[@]}" "$@"
