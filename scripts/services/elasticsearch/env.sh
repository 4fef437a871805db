# Sourced by start.sh and stop.sh: settings with their defaults, all of them overridable from the environment.
#   ES_FLAVOR      es8 (Elasticsearch 8.19.21, default) | os2 (OpenSearch 2.19.6) | os3 (OpenSearch 3.6.0)
#   ES_PORT        HTTP port on 127.0.0.1; the transport port is ES_TRANSPORT_PORT (default ES_PORT + 100)
#   ES_CACHE_DIR   unpacked servers (default under XDG_CACHE_HOME)
#   ES_DATA_DIR    this node's data, config, logs, pid file (default under XDG_STATE_HOME)
#   ES_HEAP        JVM heap (1g);  ES_JAVA_HOME  the JDK to use (else the first fitting one found)
#   ES_WRITE_QUEUE thread_pool.write.queue_size;  ES_EXTRA_YML  more lines for the settings file
#   ES_SECURITY    a directory with users, users_roles and roles.yml of a file realm: turns security on (es8)
#   ES_USER        name:password of a user who may ask for the cluster's health, with ES_SECURITY
#   ES_EXTRA_JAVA_OPTS  more JVM options;  ES_START_TIMEOUT  seconds to wait (120)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ES_FLAVOR=${ES_FLAVOR:-es8}
ES_PORT=${ES_PORT:-9200}
ES_TRANSPORT_PORT=${ES_TRANSPORT_PORT:-$((ES_PORT + 100))}
ES_CACHE_DIR=${ES_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/logdrive/$ES_FLAVOR}
ES_DATA_DIR=${ES_DATA_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/logdrive/$ES_FLAVOR-$ES_PORT}
ES_HEAP=${ES_HEAP:-1g}
ES_START_TIMEOUT=${ES_START_TIMEOUT:-120}
case $ES_FLAVOR in
  es8) es_bin=elasticsearch; min_java=17; max_java=;   es_sha256=215d5f3dbf0609a149f6218a9e47b6ae2df34ebbff3c5754e35f15a5e5393c8a ;;
  # Newer Java has no security manager, without which it does not start.
  os2) es_bin=opensearch;    min_java=17; max_java=23; es_sha256=71d6d8b1c637f3faecda0752b184b1cc526fc6eaad59ec1408c6327bb00b9293 ;;
  os3) es_bin=opensearch;    min_java=21; max_java=;   es_sha256=a91faa1dc1cadc78cb278b4f63847e19e1627a4e9de698e14e7efc14ee37b286 ;;
  *) echo "ES_FLAVOR must be es8, os2 or os3" >&2; exit 2 ;;
esac
mkdir -p "$ES_CACHE_DIR" "$ES_DATA_DIR/run"
ES_CACHE_DIR=$(cd "$ES_CACHE_DIR" && pwd -P)
ES_DATA_DIR=$(cd "$ES_DATA_DIR" && pwd -P)
pid_file=$ES_DATA_DIR/run/node.pid
url=http://127.0.0.1:$ES_PORT

# True when the pid in the pid file is a live process that was started for this very data directory.
is_ours() {
  local pid
  pid=$(cat "$pid_file" 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null &&
    tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF -- "-Djava.io.tmpdir=$ES_DATA_DIR/tmp"
}
