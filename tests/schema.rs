//! The JSON Schema for editors, as a validator that is not ours understands it: it takes the sample, with and without what
//! is commented out, and refuses what `logdrive check` refuses.

mod json_schema;

use serde_json::Value;

const SCHEMA: &str = include_str!("../docs/logdrive.schema.json");
const SAMPLE: &str = include_str!("../logdrive.sample.toml");

#[test]
fn the_schema_takes_the_sample_and_refuses_mistakes() {
    let task = "[[agent.tasks]]\nname = \"a\"\npaths = [\"/a\"]\ntopic = \"a\"\n";
    let cases = [
        (SAMPLE.to_owned(), true),
        (whole_sample(), true),
        (String::new(), true),
        (task.to_owned(), true),
        (task.replace("paths", "path"), false),
        (task.replace("topic = \"a\"\n", ""), false),
        (format!("{task}encoding = \"line\"\n"), false),
        ("[agent]\nrescan = 30\n".to_owned(), false),
        ("[agent]\nin_flight_bytes_max = \"some\"\n".to_owned(), false),
        ("[elasticsearch]\nurls = \"http://a:9200\"\n".to_owned(), false),
        ("[kafka]\nsettings = { \"linger.ms\" = 5 }\n".to_owned(), false),
        ("[kafka]\ntls = \"yes\"\n".to_owned(), false),
    ];
    let documents: Vec<Value> = cases.iter().map(|(text, _)| toml::from_str(text).expect("TOML")).collect();
    let documents: Vec<&Value> = documents.iter().collect();
    let faults = json_schema::faults(SCHEMA, &documents);
    for ((text, taken), faults) in cases.iter().zip(faults) {
        assert_eq!(faults.is_empty(), *taken, "{text}{faults:?}");
    }
}

/// The sample with everything in it that is commented out; of two that are alternatives the first counts.
fn whole_sample() -> String {
    let lines = SAMPLE.lines().map(|line| {
        line.strip_prefix('#').filter(|bare| !bare.starts_with([' ', ':']) && !bare.is_empty()).unwrap_or(line)
    });
    lines.filter(|line| !line.starts_with("settings = { ")).map(|line| format!("{line}\n")).collect()
}
