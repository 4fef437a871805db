//! The dashboards as tests read them: their panels, and what each asks of Prometheus.

use std::{fs, ops::RangeInclusive, path::Path};

use serde_json::Value;

/// A dashboard.
pub struct Board {
    /// Its file.
    pub name: String,
    /// All of it.
    pub json: Value,
}

/// A panel that shows something: all but the headings.
#[derive(Clone, Copy)]
pub struct Panel<'a> {
    pub board: &'a Board,
    pub json: &'a Value,
}

/// A question of a panel.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    pub panel: Panel<'a>,
    pub json: &'a Value,
}

/// All dashboards.
pub fn all() -> Vec<Board> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/dashboards");
    let files = fs::read_dir(directory).expect("the dashboards are there");
    let mut boards: Vec<Board> = files
        .map(|file| {
            let path = file.expect("it can be listed").path();
            let text = fs::read_to_string(&path).expect("text");
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            Board { name, json: serde_json::from_str(&text).expect("JSON") }
        })
        .collect();
    boards.sort_by(|one, other| one.name.cmp(&other.name));
    boards
}

impl Board {
    /// The panels, without the headings.
    pub fn panels(&self) -> impl Iterator<Item = Panel<'_>> {
        let all = self.json["panels"].as_array().expect("a list").iter();
        all.filter(|panel| panel["type"] != "row").map(|json| Panel { board: self, json })
    }

    /// An expression with its variables filled in: everything is chosen, and the rest as it is at first. `rate` and
    /// `range` stand for what Grafana takes from the scrape interval and from the time that is shown.
    pub fn filled(&self, expression: &str, rate: &str, range: &str, window: &str) -> String {
        let mut whole =
            expression.replace("$__rate_interval", rate).replace("$__range", range).replace("$window", window);
        for variable in self.json["templating"]["list"].as_array().expect("a list") {
            let value = match &variable["allValue"] {
                Value::String(everything) => everything,
                _ => variable["current"]["value"].as_str().unwrap_or_default(),
            };
            whole = whole.replace(&format!("${}", text(&variable["name"])), value);
        }
        whole
    }
}

impl<'a> Panel<'a> {
    /// The file and the title.
    pub fn name(&self) -> String {
        format!("{} / {}", self.board.name, text(&self.json["title"]))
    }

    /// What the panel asks.
    pub fn queries(self) -> impl Iterator<Item = Query<'a>> {
        self.json["targets"].as_array().expect("a list").iter().map(move |json| Query { panel: self, json })
    }
}

impl<'a> Query<'a> {
    /// The expression, with variables.
    pub fn expression(&self) -> &'a str {
        text(&self.json["expr"])
    }

    /// The unit of the values: the panel's, or that of the column of a table.
    pub fn unit(&self) -> &'a str {
        let column = match text(&self.json["refId"]) {
            _ if self.panel.json["targets"].as_array().is_some_and(|all| all.len() == 1) => "Value".to_owned(),
            id => format!("Value #{id}"),
        };
        let overrides = self.panel.json["fieldConfig"]["overrides"].as_array().expect("a list");
        let headings = self.panel.json["transformations"].as_array().into_iter().flatten();
        let heading =
            headings.map(|step| &step["options"]["renameByName"][&column]).find(|heading| heading.is_string());
        let own = overrides.iter().find(|one| heading.is_some_and(|heading| one["matcher"]["options"] == *heading));
        let unit = own.and_then(|one| one["properties"].as_array()?.iter().find(|property| property["id"] == "unit"));
        text(unit.map_or(&self.panel.json["fieldConfig"]["defaults"]["unit"], |unit| &unit["value"]))
    }
}

/// What values of a unit can be; none for a unit that nobody thought of.
pub fn possible(unit: &str) -> Option<RangeInclusive<f64>> {
    // Rounding leaves a little less than nothing, or more than all.
    const SLACK: f64 = 1e-9;
    let most = match unit {
        "percentunit" => 1.0,
        // Ten years.
        "d" => 3650.0,
        "s" => 1e9,
        "short" | "none" | "bytes" | "binBps" | "iops" => 1e15,
        _ => return None,
    };
    Some(-SLACK..=most + SLACK)
}

/// A string that has to be there.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string"))
}
