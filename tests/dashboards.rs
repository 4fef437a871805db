//! The dashboards: they are what their descriptions say, Grafana's own types take them, every expression is one, and every
//! metric and label that they name exists; and every metric that is listed is shown or watched somewhere.

#[path = "grafana/boards.rs"]
mod boards;
mod json_schema;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use boards::{Board, text};
use logdrive::metrics::list;
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("grafana/schema.json");

/// What Prometheus itself gives to every series, or makes of what it scrapes.
const OF_PROMETHEUS: &[&str] = &["job", "instance", "le", "__name__", "alertname", "alertstate", "severity"];

/// Of what node_exporter has, the names that the dashboards go by, without `node_`, and their labels.
const OF_NODE_EXPORTER: &[(&str, &[&str])] = &[
    ("time_seconds boot_time_seconds load1 load5 load15 procs_running procs_blocked context_switches_total", &[]),
    ("vmstat_oom_kill filefd_allocated filefd_maximum", &[]),
    ("memory_MemTotal_bytes memory_MemAvailable_bytes memory_MemFree_bytes memory_Cached_bytes", &[]),
    ("memory_Buffers_bytes memory_SReclaimable_bytes memory_SwapTotal_bytes memory_SwapFree_bytes", &[]),
    ("pressure_cpu_waiting_seconds_total pressure_memory_waiting_seconds_total", &[]),
    ("pressure_memory_stalled_seconds_total pressure_io_waiting_seconds_total", &[]),
    ("pressure_io_stalled_seconds_total", &[]),
    ("cpu_seconds_total", &["cpu", "mode"]),
    ("filesystem_avail_bytes filesystem_size_bytes filesystem_files filesystem_files_free", FILE_SYSTEM),
    ("disk_read_bytes_total disk_written_bytes_total disk_io_time_seconds_total", &["device"]),
    ("disk_reads_completed_total disk_writes_completed_total", &["device"]),
    ("network_receive_bytes_total network_transmit_bytes_total", &["device"]),
];

const FILE_SYSTEM: &[&str] = &["device", "fstype", "mountpoint"];

#[test]
fn the_dashboards_are_what_the_generator_makes_of_their_descriptions() {
    let output = Command::new("grafana/generate").arg("--check").output().expect("python3 is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_types_that_grafana_publishes_take_each_dashboard_and_refuse_mistakes() {
    let boards = boards::all();
    assert_eq!(boards.len(), 5);
    let first = &boards[0].json;
    let changed = |path: &str, key: &str, value: Value| {
        let mut board = first.clone();
        board.pointer_mut(path).expect(path)[key] = value;
        board
    };
    let mistakes = [
        changed("", "schemaVersoin", json!(42)),
        changed("/panels/1", "type", json!("graph")),
        changed("/panels/1/options", "graphmode", json!("area")),
        changed("/panels/1/gridPos", "w", json!("4")),
        changed("/panels/1/targets/0", "expression", json!("up")),
        changed("/panels/1/fieldConfig/defaults/thresholds", "mode", json!("relative")),
        changed("/templating/list/0", "type", json!("choice")),
    ];
    let documents: Vec<&Value> = boards.iter().map(|board| &board.json).chain(&mistakes).collect();
    let faults = json_schema::faults(SCHEMA, &documents);
    for (board, faults) in boards.iter().zip(&faults) {
        assert!(faults.is_empty(), "{}: {faults:#?}", board.name);
    }
    for (number, faults) in faults[boards.len()..].iter().enumerate() {
        assert!(!faults.is_empty(), "mistake {number} is not seen");
    }
}

#[test]
fn each_panel_has_a_place_of_its_own_a_title_a_unit_and_words_that_explain_it() {
    const KINDS: &[&str] = &["timeseries", "stat", "table", "heatmap", "bargauge"];
    for board in boards::all() {
        let (mut taken, mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        for panel in board.json["panels"].as_array().expect("a list") {
            let place = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().expect("a number"));
            assert!(ids.insert(panel["id"].as_u64()) && place[0] + place[2] <= 24, "{}: {panel}", board.name);
            for cell in (0..place[2]).flat_map(|x| (0..place[3]).map(move |y| (place[0] + x, place[1] + y))) {
                assert!(taken.insert(cell), "{} / {} lies on another panel", board.name, panel["title"]);
            }
        }
        for panel in board.panels() {
            let (name, shown) = (panel.name(), panel.json);
            let says = text(&shown["description"]);
            assert!(says.ends_with('.') && says.len() > 15, "{name} is not explained");
            assert!(KINDS.contains(&text(&shown["type"])) && !text(&shown["title"]).is_empty(), "{name}");
            for query in panel.queries() {
                assert!(boards::possible(query.unit()).is_some(), "{name} has no unit, or one that nobody knows");
            }
            // A stat and a curve of the same are one thing, in two forms.
            *titles.entry((text(&shown["title"]), text(&shown["type"]))).or_insert(0) += 1;
        }
        assert!(titles.values().all(|times| *times == 1), "{}: {titles:?}", board.name);
    }
}

#[test]
fn each_dashboard_can_be_imported_anywhere_and_its_links_lead_to_another() {
    let boards = boards::all();
    let uids: BTreeSet<&str> = boards.iter().map(|board| text(&board.json["uid"])).collect();
    for board in &boards {
        assert_eq!(board.name, format!("{}.json", text(&board.json["uid"])));
        assert!(board.json.get("__inputs").is_none() && board.json.get("id").is_none(), "{}", board.name);
        assert_eq!(variables(board).next(), Some("datasource"), "{}", board.name);
        each_string(&board.json, &mut |key, string| {
            assert!(key != "uid" || string == "${datasource}" || uids.contains(string), "{}: {string}", board.name);
            if let Some(path) = string.strip_prefix("/d/") {
                let uid = path.split(['?', '/']).next().unwrap_or_default();
                assert!(key == "url" && uids.contains(uid), "{}: there is no {string}", board.name);
            }
        });
        let whole = board.json.to_string();
        for variable in variables(board) {
            let used =
                [format!("${variable}"), format!("${{{variable}")].iter().any(|name| whole.contains(name.as_str()));
            assert!(used, "{}: nothing depends on {variable}", board.name);
        }
    }
}

#[test]
fn every_expression_is_one_of_promql_and_all_its_variables_are_chosen() {
    let mut rules = String::from("groups:\n  - name: dashboards\n    rules:\n");
    let mut count = 0;
    for (at, expression) in expressions(&boards::all()) {
        assert!(!expression.contains('$'), "{at}: {expression} has a variable that the dashboard has not");
        rules += &format!("      - record: expression_{count}\n        expr: {}\n", json!(expression));
        count += 1;
    }
    let file = tempfile::Builder::new().suffix(".yml").tempfile().expect("a temporary file");
    fs::write(file.path(), rules).expect("it can be written");
    let output = Command::new("promtool").args(["check", "rules"]).arg(file.path()).output().expect("it is installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains(&format!("{count} rules found")), "{said}");
}

#[test]
fn every_metric_and_every_label_that_is_asked_for_exists() {
    let known = known();
    let mut faults = Vec::new();
    for (at, expression) in expressions(&boards::all()) {
        for (metric, labels) in selectors(&expression) {
            match known.get(metric.as_str()) {
                None if metric == "__name__" => (),
                None => faults.push(format!("{at}: there is no metric {metric}")),
                Some(own) => faults.extend(
                    labels
                        .iter()
                        .filter(|label| !own.contains(label.as_str()) && !OF_PROMETHEUS.contains(&label.as_str()))
                        .map(|label| format!("{at}: {metric} has no label {label}")),
                ),
            }
        }
        let named: BTreeSet<&str> =
            words(&expression).filter_map(|word| known.get(word)).flatten().map(|s| &**s).collect();
        for label in grouped(&expression) {
            if !named.contains(label.as_str()) && !OF_PROMETHEUS.contains(&label.as_str()) {
                faults.push(format!("{at}: nothing in it has the label {label}"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_metric_that_is_listed_is_shown_by_a_panel_or_watched_by_an_alert() {
    let mut asked: String = fs::read_to_string("grafana/alerts/logdrive.rules.yml").expect("it is there");
    for (_, expression) in expressions(&boards::all()) {
        asked.push('\n');
        asked.push_str(&expression);
    }
    let asked: BTreeSet<&str> = words(&asked).collect();
    let unseen: Vec<&str> = list::ALL
        .iter()
        .map(|metric| metric.name)
        .filter(|name| !["", "_bucket", "_sum"].iter().any(|end| asked.contains(format!("{name}{end}").as_str())))
        .collect();
    assert!(unseen.is_empty(), "listed in src/metrics/list.rs, and nobody would see them: {unseen:?}");
}

#[test]
fn grafana_finds_the_dashboards_and_prometheus_where_provisioning_says() {
    let dashboards = fs::read_to_string("grafana/provisioning/dashboards/logdrive.yml").expect("it is there");
    let path = dashboards.lines().find_map(|line| line.trim().strip_prefix("path: ")).expect("a path");
    let guide = fs::read_to_string("grafana/README.md").expect("it is there");
    assert!(guide.contains(&format!("dashboards:{path}:ro")), "the guide mounts them elsewhere than {path}");
    assert!(guide.contains("provisioning:/etc/grafana/provisioning:ro"), "where Grafana's image looks");
}

/// Every expression of panels, annotations and variables, with where it stands and its variables filled in.
fn expressions(boards: &[Board]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for board in boards {
        let filled = |expression: &str| board.filled(expression, "1m", "6h", "1d");
        for panel in board.panels() {
            all.extend(panel.queries().map(|query| (panel.name(), filled(query.expression()))));
        }
        for annotation in board.json["annotations"]["list"].as_array().expect("a list") {
            all.push((format!("{} / annotation", board.name), filled(text(&annotation["expr"]))));
        }
        for variable in board.json["templating"]["list"].as_array().expect("a list") {
            let asked = variable["query"]["query"].as_str().and_then(|asked| asked.strip_prefix("label_values("));
            if let Some((series, label)) = asked.and_then(|asked| asked.strip_suffix(')')?.rsplit_once(", ")) {
                // What a variable lists has to be a label, too.
                let asked = format!("count by ({label}) ({series})");
                all.push((format!("{} / {label}", board.name), filled(&asked)));
            }
        }
    }
    all
}

/// The names of what people choose.
fn variables(board: &Board) -> impl Iterator<Item = &str> {
    board.json["templating"]["list"].as_array().expect("a list").iter().map(|variable| text(&variable["name"]))
}

/// Every metric that there is, and its labels.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let mut known = BTreeMap::new();
    for metric in list::ALL {
        let labels: BTreeSet<String> = metric.labels.iter().map(|label| (*label).to_owned()).collect();
        for end in ["", "_bucket", "_sum", "_count"] {
            let is_histogram = matches!(metric.kind, logdrive::metrics::Kind::Histogram(_));
            if end.is_empty() != is_histogram {
                known.insert(format!("{}{end}", metric.name), labels.clone());
            }
        }
    }
    let own = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect();
    known.extend(list::OF_PROCESS.iter().map(|metric| (metric.name.to_owned(), own(metric.labels))));
    known.extend(
        OF_NODE_EXPORTER
            .iter()
            .flat_map(|(names, labels)| names.split_whitespace().map(|name| (format!("node_{name}"), own(labels)))),
    );
    known.extend(["up", "ALERTS"].map(|name| (name.to_owned(), BTreeSet::new())));
    known
}

/// Every series that an expression selects by its name: the name, and the labels in its matchers. In a list of names (`{__name__=~"a|b"}`)
/// each counts.
fn selectors(expression: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in expression.match_indices(|c: char| is_word(c)) {
        let begins = !expression[..at].ends_with(is_word);
        let name = expression[at..].split(|c: char| !is_word(c)).next().unwrap_or_default();
        let is_metric = ["logdrive_", "process_", "node_"].iter().any(|prefix| name.starts_with(prefix));
        if begins && (is_metric || ["up", "ALERTS"].contains(&name)) {
            let matchers = expression[at + name.len()..].strip_prefix('{').and_then(|rest| rest.split('}').next());
            found.push((name.to_owned(), matchers.map(labels).unwrap_or_default()));
        }
    }
    found
}

/// The names of labels in matchers: what stands before each operator, outside of quotes.
fn labels(matchers: &str) -> Vec<String> {
    let outside: String = matchers.split('"').step_by(2).collect::<Vec<&str>>().join(" ");
    outside.split(|c: char| !is_word(c)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The labels by which something is grouped or joined.
fn grouped(expression: &str) -> Vec<String> {
    let groups = ["by (", "on (", "without (", "ignoring (", "group_left (", "group_right ("];
    let lists = groups.iter().flat_map(|group| expression.split(group).skip(1));
    lists.filter_map(|rest| rest.split(')').next()).flat_map(labels).collect()
}

fn each_string(value: &Value, see: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| match value {
            Value::String(string) => see(key, string),
            _ => each_string(value, see),
        }),
        Value::Array(list) => list.iter().for_each(|value| each_string(value, see)),
        _ => (),
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
