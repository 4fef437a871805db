//! A real Prometheus that scrapes every second, with the rules that are shipped, in a hurry.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use regex::{Captures, Regex};
use serde_json::Value;

use super::{ports, until};

const RULES: [&str; 2] = ["logdrive.rules.yml", "logdrive.records.yml"];

/// A running Prometheus; killed when this is dropped.
pub struct Prometheus {
    child: Child,
    url: String,
}

/// What is scraped: under which job and instance, and where.
pub struct Target<'a> {
    pub job: &'a str,
    pub instance: &'a str,
    pub address: String,
}

impl Prometheus {
    /// Starts one that keeps its data and its configuration in `dir`.
    pub async fn start(dir: &Path, targets: &[Target<'_>]) -> Self {
        fs::create_dir_all(dir).expect("the site can be written");
        for name in RULES {
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/alerts").join(name);
            fs::write(dir.join(name), hurried(&fs::read_to_string(shipped).expect("it is there"))).expect("written");
        }
        let mut config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{}]\nscrape_configs:\n",
            RULES.join(", ")
        );
        for Target { job, instance, address } in targets {
            config += &format!(
                "  - job_name: {job}-{instance}\n    static_configs:\n      - targets: [\"{address}\"]\n        labels: {{ job: {job}, instance: {instance} }}\n"
            );
        }
        fs::write(dir.join("prometheus.yml"), config).expect("the site can be written");
        let address = format!("127.0.0.1:{}", ports::free());
        let log = fs::File::create(dir.join("prometheus.log")).expect("the site can be written");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={address}"))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("scripts/needs brings setpriv and prometheus");
        let prometheus = Self { child, url: format!("http://{address}") };
        until("prometheus is ready", Duration::from_secs(60), async || {
            reqwest::get(format!("{}/-/ready", prometheus.url)).await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        prometheus
    }

    /// What an expression says now: a list of series, each with one value.
    pub async fn now(&self, expression: &str) -> Vec<Value> {
        self.ask("query", &[("query", expression)], "vector").await
    }

    /// What an expression said in the last `span`, second by second: a list of series, each with its values.
    pub async fn lately(&self, expression: &str, span: Duration) -> Vec<Value> {
        let end = jiff::Timestamp::now().as_second();
        let start = (end - i64::try_from(span.as_secs()).expect("a short time")).to_string();
        let range = [("query", expression), ("start", &start), ("end", &end.to_string()), ("step", "1")];
        self.ask("query_range", &range, "matrix").await
    }

    /// The names of the alerts that fire, and the groups that they are in.
    pub async fn firing(&self) -> Vec<(String, String)> {
        let answer = self.get("rules", &[("type", "alert")]).await;
        let groups = answer["groups"].as_array().expect("a list");
        let rules = groups.iter().flat_map(|group| {
            let name = group["name"].as_str().expect("a name").to_owned();
            group["rules"].as_array().expect("a list").iter().map(move |rule| (name.clone(), rule))
        });
        let firing = rules.filter(|(_, rule)| rule["state"] == "firing");
        firing.map(|(group, rule)| (rule["name"].as_str().expect("a name").to_owned(), group)).collect()
    }

    async fn ask(&self, path: &str, parameters: &[(&str, &str)], kind: &str) -> Vec<Value> {
        let mut answer = self.get(path, parameters).await;
        assert_eq!(answer["resultType"], kind, "{parameters:?}");
        match answer["result"].take() {
            Value::Array(series) => series,
            other => panic!("{other} is no list"),
        }
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/{path}", self.url), parameters).expect("a URL");
        let answer = reqwest::get(url).await.expect("prometheus is up").json::<Value>().await.expect("JSON");
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        answer["data"].clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Both fail only if it ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The rules with every minute a second, in windows (no shorter than 5 s: five scrapes) and offsets, and with no alert waiting
/// longer than 3 s. What is compared with what stays as it is.
fn hurried(rules: &str) -> String {
    let seconds = |found: &Captures| {
        let count: u64 = found[2].parse().expect("digits");
        let minutes = match &found[3] {
            "m" => count,
            "h" => count * 60,
            other => panic!("no rule has {other} as yet"),
        };
        format!("{}{}s", &found[1], minutes.max(5))
    };
    let windows = Regex::new(r"(\[|:|offset )(\d+)([smhd])\b").expect("it is a pattern");
    let waits = Regex::new(r"(?m)^( *for): .*$").expect("it is a pattern");
    waits.replace_all(&windows.replace_all(rules, seconds), "$1: 3s").into_owned()
}
