//! A page that draws what panels were answered, where they stand on their dashboard, for a person to look at.

use serde_json::{Value, json};

use super::boards::{Board, Panel, text};
use crate::rig::{Site, browser};

const PAGE: &str = include_str!("../../grafana/page.html");

/// Has a browser draw a dashboard with these answers; the test fails if a panel stays empty that was answered.
/// The picture is in `target/pages`.
pub fn draw(board: &Board, panels: &[(Panel<'_>, Vec<Vec<Value>>)], site: &Site) {
    let rows = board.json["panels"].as_array().expect("a list").iter().filter(|panel| panel["type"] == "row");
    let rows: Vec<Value> = rows.map(|row| json!({ "title": row["title"], "place": row["gridPos"] })).collect();
    let drawn: Vec<Value> = panels.iter().map(|(panel, answers)| described(*panel, answers)).collect();
    let data = json!({ "title": board.json["title"], "rows": rows, "panels": drawn });
    let name = text(&board.json["uid"]);
    let file = site.dir.join(format!("{name}.html"));
    // `</` would end the script that the data stand in.
    std::fs::write(&file, PAGE.replace("__DATA__", &data.to_string().replace("</", "<\\/")))
        .expect("the site can be written");
    let height = drawn.iter().map(|panel| panel["place"]["y"].as_u64().zip(panel["place"]["h"].as_u64()));
    let height = height.flatten().map(|(y, h)| y + h).max().expect("a panel") * 30 + 60;
    let page = browser::open_tall(&format!("file://{}", file.display()), name, &site.dir.join("browser"), height);
    let answered = drawn.iter().filter(|panel| panel["series"].as_array().is_some_and(|all| !all.is_empty())).count();
    // What draws them stands in the page as well.
    let marks = |page: &str| page.matches("class=\"drawn\"").count();
    assert_eq!(marks(&page) - marks(PAGE), answered, "{name}: not every panel was drawn");
}

fn described(panel: Panel<'_>, answers: &[Vec<Value>]) -> Value {
    let series: Vec<Value> = panel
        .queries()
        .zip(answers)
        .flat_map(|(query, answer)| {
            answer.iter().map(move |series| {
                let points: Vec<(f64, Option<f64>)> =
                    values(series).map(|(time, value)| (time, value.is_finite().then_some(value))).collect();
                json!({ "name": legend(query.json, series), "labels": series["metric"], "query": query.json["refId"],
                    "unit": query.unit(), "points": points })
            })
        })
        .collect();
    json!({ "title": panel.json["title"], "kind": panel.json["type"], "place": panel.json["gridPos"],
            "unit": panel.json["fieldConfig"]["defaults"]["unit"], "axis": panel.json["options"]["yAxis"]["unit"],
            "stacked": panel.json["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal",
            "columns": panel.json["transformations"][1]["options"]["renameByName"], "series": series })
}

/// The name of a series, as the query's legend has it.
fn legend(query: &Value, series: &Value) -> String {
    let labels = series["metric"].as_object().into_iter().flatten();
    labels.fold(query["legendFormat"].as_str().unwrap_or_default().to_owned(), |name, (label, value)| {
        name.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap_or_default())
    })
}

/// The times and the values of a series.
pub fn values(series: &Value) -> impl Iterator<Item = (f64, f64)> {
    let many = series["values"].as_array().into_iter().flatten();
    let one = series.get("value");
    many.chain(one).map(|pair| {
        let value = text(&pair[1]).parse().expect("a number");
        (pair[0].as_f64().expect("a time"), value)
    })
}
