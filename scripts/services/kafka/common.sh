# shellcheck shell=bash disable=SC2034
# Sourced by start.sh, stop.sh and kafka-cli.sh: settings and the functions they share.
#
#   KAFKA_NODES                1 or 3 brokers (default 1); each is a broker and a controller
#   KAFKA_DATA_DIR             data, logs and pid files (default under XDG_STATE_HOME)
#   KAFKA_BASE_PORT            brokers listen on this port and the ones after it (default 19092)
#   KAFKA_CONTROLLER_BASE_PORT controllers do on this one and on (default base port + 10)
#   KAFKA_HEAP                 -Xmx of each broker (default 512m for one node, 384m for three)
#   KAFKA_JVM_OPTS             more options for the brokers' JVMs
#   KAFKA_LOG_LEVEL            default WARN
#   KAFKA_SESSION_TIMEOUT_MS   broker.session.timeout.ms (default 9000, as Kafka's own)
#   KAFKA_EXTRA_CONFIG         a properties file added to each broker's; its values win
#   KAFKA_START_TIMEOUT        seconds to wait for the brokers (default 60)
#   KAFKA_STOP_TIMEOUT         seconds after SIGTERM before SIGKILL (default 20)
#   KAFKA_CACHE_DIR            where the jars are kept (default under XDG_CACHE_HOME)
#   KAFKA_MAVEN_OPTS           more options for mvn, such as -s FILE or -o
#   KAFKA_CLI_JVM_OPTS         JVM options for kafka-cli.sh, instead of its own

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

KAFKA_NODES=${KAFKA_NODES:-1}
KAFKA_DATA_DIR=${KAFKA_DATA_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/logdrive/kafka}
KAFKA_BASE_PORT=${KAFKA_BASE_PORT:-19092}
KAFKA_CONTROLLER_BASE_PORT=${KAFKA_CONTROLLER_BASE_PORT:-$((KAFKA_BASE_PORT + 10))}
KAFKA_CACHE_DIR=${KAFKA_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/logdrive/kafka}
KAFKA_LOG_LEVEL=${KAFKA_LOG_LEVEL:-WARN}

java=${JAVA_HOME:+$JAVA_HOME/bin/}java

say() { echo "kafka: $*" >&2; }
die() { say "$*"; exit 1; }

# Sets jars to the folder with the jars that pom.xml names, and fetches them the first time.
# The folder's name has pom.xml's checksum in it, so a changed pom.xml gets a folder of its own.
fetch_jars() {
  jars=$KAFKA_CACHE_DIR/jars-$(sha256sum <"$here/pom.xml" | cut -c1-12)
  [ -d "$jars" ] && return
  command -v mvn >/dev/null || die "mvn is needed once, to fetch the jars"
  mkdir -p "$KAFKA_CACHE_DIR"
  (
    flock 9
    [ -d "$jars" ] && exit 0
    say "fetching the jars to $jars"
    rm -rf "$jars.part"
    # shellcheck disable=SC2086
    mvn -B -q -ntp -C -Dstyle.color=never ${KAFKA_MAVEN_OPTS:-} -f "$here/pom.xml" dependency:copy-dependencies \
      -DincludeScope=runtime -DoutputDirectory="$jars.part" >&2 || exit 1
    mv "$jars.part" "$jars"
  ) 9>"$KAFKA_CACHE_DIR/lock" || die "could not fetch the jars"
}

check_java() {
  local v
  v=$("$java" -XshowSettings:properties -version 2>&1 |
    sed -n 's/^ *java\.specification\.version = \([0-9]*\).*/\1/p')
  [ "${v:-0}" -ge 17 ] || die "Java 17 or newer is needed, found '${v:-none}'"
}

node_dir() { echo "$KAFKA_DATA_DIR/node-$1"; }
node_conf() { echo "$KAFKA_DATA_DIR/node-$1/server.properties"; }
pid_file() { echo "$KAFKA_DATA_DIR/run/node-$1.pid"; }
broker_port() { echo $((KAFKA_BASE_PORT + $1 - 1)); }
controller_port() { echo $((KAFKA_CONTROLLER_BASE_PORT + $1 - 1)); }

# node_pid N: prints the pid of node N if the process in its pid file still is that broker
# (a pid may have been given to another process since).
node_pid() {
  local pid
  pid=$(cat "$(pid_file "$1")" 2>/dev/null) && [ -n "$pid" ] || return 1
  tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF -- "$(node_conf "$1")" || return 1
  echo "$pid"
}
