//! Saved objects for Kibana and OpenSearch Dashboards, as their import takes them: a data view, the lines as a table,
//! lines over time by level, hosts and tasks with the most lines, and a dashboard of these.
//!
//! The objects are in the form of Kibana 7.10, which OpenSearch Dashboards keeps and which later Kibanas migrate when
//! they import. Their ids depend on the pattern only, so importing again replaces them.

use serde_json::{Value, json};

/// The objects for the indices of `pattern`, one JSON object a line, those first that others refer to.
#[must_use]
pub fn saved_objects(pattern: &str) -> String {
    let objects = Objects { pattern };
    let level = json!({ "id": "3", "enabled": true, "type": "terms", "schema": "group",
        "params": { "field": "log.level", "size": 10, "orderBy": "1", "order": "desc",
            "missingBucket": true, "missingBucketLabel": "none" } });
    let lines = [
        objects.view(),
        objects.lines(),
        objects.chart("over-time", "Lines over time by level", "histogram", &[over_time(), level]),
        objects.chart("hosts", "Hosts with the most lines", "table", &[most("host.name")]),
        objects.chart("tasks", "Tasks with the most lines", "table", &[most("logdrive.task")]),
        objects.dashboard(),
    ];
    lines.iter().map(|object| format!("{object}\n")).collect()
}

fn over_time() -> Value {
    json!({ "id": "2", "enabled": true, "type": "date_histogram", "schema": "segment",
        "params": { "field": "@timestamp", "interval": "auto", "min_doc_count": 1, "drop_partials": false } })
}

fn most(field: &str) -> Value {
    json!({ "id": "2", "enabled": true, "type": "terms", "schema": "bucket",
        "params": { "field": field, "size": 20, "orderBy": "1", "order": "desc" } })
}

struct Objects<'a> {
    pattern: &'a str,
}

impl Objects<'_> {
    fn id(&self, what: &str) -> String {
        format!("logdrive-{what}-{}", self.pattern)
    }

    fn title(&self, what: &str) -> String {
        format!("{what} ({})", self.pattern)
    }

    fn view(&self) -> Value {
        json!({
            "type": "index-pattern",
            "id": self.id("view"),
            "attributes": { "title": self.pattern, "timeFieldName": "@timestamp" },
            "references": [],
            "migrationVersion": { "index-pattern": "7.6.0" },
        })
    }

    /// A question for all lines, and the reference that it makes.
    fn source(&self) -> (Value, Value) {
        const INDEX: &str = "kibanaSavedObjectMeta.searchSourceJSON.index";
        let source = json!({ "query": { "query": "", "language": "kuery" }, "filter": [], "indexRefName": INDEX });
        let reference = json!({ "name": INDEX, "type": "index-pattern", "id": self.id("view") });
        (json!({ "searchSourceJSON": source.to_string() }), reference)
    }

    fn lines(&self) -> Value {
        let (source, reference) = self.source();
        json!({
            "type": "search",
            "id": self.id("lines"),
            "attributes": {
                "title": self.title("Lines"),
                "columns": ["log.level", "host.name", "logdrive.task", "message"],
                "sort": [["@timestamp", "desc"]],
                "kibanaSavedObjectMeta": source,
            },
            "references": [reference],
            "migrationVersion": { "search": "7.9.3" },
        })
    }

    fn chart(&self, id: &str, title: &str, kind: &str, buckets: &[Value]) -> Value {
        let (source, reference) = self.source();
        let count = json!({ "id": "1", "enabled": true, "type": "count", "schema": "metric", "params": {} });
        let aggregations: Vec<&Value> = [&count].into_iter().chain(buckets).collect();
        let parameters = match kind {
            "histogram" => json!({
                "type": "histogram", "addLegend": true, "addTooltip": true, "legendPosition": "right",
                "categoryAxes": [{ "id": "CategoryAxis-1", "type": "category", "position": "bottom", "show": true,
                    "scale": { "type": "linear" }, "labels": { "show": true, "filter": true }, "title": {} }],
                "valueAxes": [{ "id": "ValueAxis-1", "name": "LeftAxis-1", "type": "value", "position": "left",
                    "show": true, "scale": { "type": "linear", "mode": "normal" }, "labels": { "show": true },
                    "title": { "text": "Lines" } }],
                "seriesParams": [{ "show": true, "type": "histogram", "mode": "stacked", "valueAxis": "ValueAxis-1",
                    "data": { "id": "1", "label": "Lines" } }],
            }),
            _ => json!({ "perPage": 10, "showPartialRows": false, "showTotal": false }),
        };
        let title = self.title(title);
        let state = json!({ "title": title, "type": kind, "params": parameters, "aggs": aggregations });
        json!({
            "type": "visualization",
            "id": self.id(id),
            "attributes": {
                "title": title,
                "visState": state.to_string(),
                "uiStateJSON": "{}",
                "description": "",
                "version": 1,
                "kibanaSavedObjectMeta": source,
            },
            "references": [reference],
            "migrationVersion": { "visualization": "7.10.0" },
        })
    }

    fn dashboard(&self) -> Value {
        // What, its kind, and where: from the left and from above, width and height, of 48 columns.
        let places = [
            ("over-time", "visualization", [0, 0, 48, 12]),
            ("hosts", "visualization", [0, 12, 24, 12]),
            ("tasks", "visualization", [24, 12, 24, 12]),
            ("lines", "search", [0, 24, 48, 24]),
        ];
        let (mut panels, mut references) = (Vec::new(), Vec::new());
        for (number, (what, kind, [x, y, w, h])) in places.into_iter().enumerate() {
            let (index, reference) = (number.to_string(), format!("panel_{number}"));
            panels.push(json!({
                "version": "7.10.0", "panelIndex": index, "panelRefName": reference, "embeddableConfig": {},
                "gridData": { "x": x, "y": y, "w": w, "h": h, "i": index },
            }));
            references.push(json!({ "name": reference, "type": kind, "id": self.id(what) }));
        }
        let source = json!({ "query": { "query": "", "language": "kuery" }, "filter": [] });
        json!({
            "type": "dashboard",
            "id": self.id("dashboard"),
            "attributes": {
                "title": self.title("Logs"),
                "description": "",
                "hits": 0,
                "panelsJSON": Value::from(panels).to_string(),
                "optionsJSON": json!({ "useMargins": true, "hidePanelTitles": false }).to_string(),
                "timeRestore": false,
                "version": 1,
                "kibanaSavedObjectMeta": { "searchSourceJSON": source.to_string() },
            },
            "references": references,
            "migrationVersion": { "dashboard": "7.9.3" },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::saved_objects;

    #[test]
    fn every_object_refers_only_to_those_before_it_and_every_text_in_them_is_json() {
        let mut known = BTreeSet::new();
        for line in saved_objects("logs-*").lines() {
            let object: Value = serde_json::from_str(line).expect("a JSON object a line");
            for reference in object["references"].as_array().expect("a list") {
                assert!(
                    known.contains(&(reference["type"].clone().to_string(), reference["id"].to_string())),
                    "{line}"
                );
            }
            assert!(known.insert((object["type"].to_string(), object["id"].to_string())), "{line}");
            let attributes = object["attributes"].as_object().expect("an object");
            let nested = attributes.get("kibanaSavedObjectMeta").and_then(|meta| meta["searchSourceJSON"].as_str());
            let texts = ["visState", "uiStateJSON", "panelsJSON", "optionsJSON"];
            for text in texts.into_iter().filter_map(|name| attributes.get(name)?.as_str()).chain(nested) {
                assert!(serde_json::from_str::<Value>(text).is_ok_and(|value| !value.is_null()), "{text}");
            }
        }
        assert_eq!(known.len(), 6);
    }

    #[test]
    fn a_panel_has_the_object_that_it_names() {
        let objects = saved_objects("logs-*");
        let dashboard: Value = serde_json::from_str(objects.lines().last().expect("six lines")).expect("JSON");
        let panels: Vec<Value> =
            serde_json::from_str(dashboard["attributes"]["panelsJSON"].as_str().expect("text")).expect("JSON");
        let references = dashboard["references"].as_array().expect("a list");
        assert_eq!(panels.len(), references.len());
        for (panel, reference) in panels.iter().zip(references) {
            assert_eq!(panel["panelRefName"], reference["name"]);
        }
    }
}
