//! Random JSON lines through the real transfer: what comes back is what was sent, byte for byte, but for what the
//! rules of the document say.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::rig::{Dice, Site, index, kafka, number, services, until};

const LIMIT: Duration = Duration::from_secs(90);

#[tokio::test]
async fn random_json_comes_back_from_elasticsearch_as_it_was_sent() {
    come_back("json", services::elasticsearch()).await;
}

#[tokio::test]
async fn random_json_comes_back_from_opensearch_as_it_was_sent() {
    come_back("json-os", services::opensearch()).await;
}

async fn come_back(name: &str, store: &str) {
    let site = Site::on(name, services::kafka(), store).await;
    let mut dice = Dice::thrown();
    let lines: Vec<Line> = (0..number("IT_JSON_LINES", 10_000)).map(|number| Line::random(number, &mut dice)).collect();
    let mut text = String::new();
    for line in &lines {
        text += &line.text;
        text.push('\n');
        if text.len() > 200_000 || std::ptr::eq(line, lines.last().expect("there are lines")) {
            kafka::produce(&site.kafka, &site.topic, &[], text.as_bytes());
            text.clear();
        }
    }
    let mut transfer = site.transfer();
    transfer.ready().await;
    until("all records committed", LIMIT, async || kafka::behind(&site.kafka, &site.topic, &site.name) == 0).await;
    let letters = kafka::records(&site.kafka, &site.dead_letters);
    let refused = letters.first().map(|letter| String::from_utf8_lossy(&letter.value).into_owned());
    assert_eq!(refused, None, "{} documents are refused", letters.len());
    index::wait_for(store, &site.indices(), lines.len()).await;
    transfer.stop_well().await;

    let mut found = BTreeSet::new();
    for source in sources(store, &site.indices()).await {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(source.get()).expect("an object");
        let number: usize = members["number"].get().parse().expect("the number of the line");
        assert!(found.insert(number), "line {number} is there twice");
        lines[number].check(&members);
    }
    assert_eq!(found.len(), lines.len(), "each line once");
}

/// The documents' sources as the bytes that the server gives out.
async fn sources(url: &str, indices: &str) -> Vec<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(rename = "_scroll_id")]
        scroll_id: String,
        hits: Hits,
    }
    #[derive(Deserialize)]
    struct Hits {
        hits: Vec<Hit>,
    }
    #[derive(Deserialize)]
    struct Hit {
        #[serde(rename = "_source")]
        source: Box<RawValue>,
    }
    let client = reqwest::Client::new();
    let ask = async |path: String, body: serde_json::Value| -> Page {
        let answer = client.post(format!("{url}/{path}")).json(&body).send().await.expect("the server is up");
        serde_json::from_str(&answer.text().await.expect("text")).expect("a page of hits")
    };
    let mut sources = Vec::new();
    let mut page = ask(format!("{indices}/_search?scroll=1m"), json!({ "size": 2_000, "sort": ["_doc"] })).await;
    while !page.hits.hits.is_empty() {
        sources.extend(page.hits.hits.into_iter().map(|hit| hit.source));
        page = ask("_search/scroll".to_owned(), json!({ "scroll": "1m", "scroll_id": page.scroll_id })).await;
    }
    sources
}

/// A line, and what has to become of it.
struct Line {
    text: String,
    /// Its members in the document, by their names there, each as the bytes of its value.
    members: BTreeMap<String, String>,
    tags: BTreeSet<&'static str>,
    has_message: bool,
}

impl Line {
    fn random(number: u64, dice: &mut Dice) -> Self {
        let mut writer = Writer { dice, tags: BTreeSet::new() };
        let mut line = Self {
            text: format!("{}{{\"number\":{number}", writer.blank()),
            members: BTreeMap::from([("number".to_owned(), number.to_string())]),
            tags: BTreeSet::new(),
            has_message: false,
        };
        for _ in 0..writer.dice.within(0..8) {
            let (name, value) = writer.member(1);
            line.push(&name.written, &name.meant, value, &mut writer);
        }
        match writer.dice.within(0..12) {
            0 => line.push("host", "fields.host", Value::same("\"h\""), &mut writer),
            1 => line.push("_id", "fields._id", Value::same("\"h\""), &mut writer),
            2 => line.push("s_long", "s_long", writer.long_string(), &mut writer),
            3 => line.push("o_deep", "o_deep", writer.deep(), &mut writer),
            4 => line.push("o_wide", "o_wide", writer.wide(), &mut writer),
            5 => {
                writer.tags.insert("json_name");
                write!(line.text, ",\"x..y\":{}", writer.whole().written).expect("text");
            }
            6 => {
                line.push("message", "message", Value::same(r#""a message \u00e9 of its own\n""#), &mut writer);
                line.has_message = true;
            }
            _ => (),
        }
        line.text += &writer.blank();
        line.text.push('}');
        line.tags = writer.tags;
        line
    }

    fn push(&mut self, written: &str, meant: &str, value: Value, writer: &mut Writer) {
        if self.members.contains_key(meant) {
            writer.tags.insert("json_duplicate");
        }
        let (before, between) = (writer.blank(), writer.blank());
        write!(self.text, ",{before}\"{written}\":{between}{}", value.written).expect("text");
        self.members.insert(meant.to_owned(), value.meant);
    }

    /// Fails unless `document` is this line's.
    fn check(&self, document: &BTreeMap<String, &RawValue>) {
        let string = |name: &str| serde_json::from_str::<String>(document[name].get()).expect("a string");
        for (name, value) in &self.members {
            let found = document.get(name).map(|value| value.get());
            assert_eq!(found, Some(value.as_str()), "{name} of {}", self.text);
        }
        let tags: BTreeSet<&str> = document
            .get("tags")
            .map_or_else(BTreeSet::new, |tags| serde_json::from_str(tags.get()).expect("a list of strings"));
        assert_eq!(tags, self.tags, "{}", self.text);
        let ours = ["@timestamp", "message", "tags", "host.name"];
        let is_ours = |name: &str| ours.contains(&name) || name.starts_with("log");
        let others = document.keys().filter(|name| !is_ours(name) && !self.members.contains_key(*name));
        assert_eq!(others.count(), 0, "more than was sent: {:?}", document.keys());
        let is_cut = self.tags.iter().any(|tag| *tag != "invalid_utf8");
        if !self.has_message {
            assert_eq!(string("message"), self.text);
        } else if is_cut {
            assert_eq!(string("logdrive.original"), self.text);
        }
        assert_eq!(document.contains_key("logdrive.original"), self.has_message && is_cut);
    }
}

/// A value as it stands in the line, and as it has to stand in the document.
#[derive(Clone)]
struct Value {
    written: String,
    meant: String,
}

impl Value {
    fn same(text: &str) -> Self {
        Self { written: text.to_owned(), meant: text.to_owned() }
    }
}

struct Writer<'a> {
    dice: &'a mut Dice,
    tags: BTreeSet<&'static str>,
}

impl Writer<'_> {
    /// A name and a value. The name tells the kind, so that no field has two, which a tree of fields would refuse.
    fn member(&mut self, depth: u64) -> (Value, Value) {
        let (kind, value) = self.value(depth);
        let rest = self.dice.pick(&["a", "b", "\u{e9}\u{4e2d}\u{1f600}"]);
        let meant = format!("{kind}_{rest}");
        // A name may be written with escapes.
        let written = if self.dice.within(0..8) == 0 { format!("{kind}\\u005f{rest}") } else { meant.clone() };
        (Value { written, meant }, value)
    }

    /// A value, and a letter for its kind.
    fn value(&mut self, depth: u64) -> (char, Value) {
        match self.dice.within(0..if depth < 4 { 12 } else { 7 }) {
            0 => ('b', Value::same(self.dice.pick(&["true", "false", "null"]))),
            1 | 2 => ('n', self.whole()),
            3 => ('f', self.fraction()),
            4..7 => ('s', self.string()),
            7 => ('l', self.list(Self::whole)),
            8 => ('g', self.list(Self::fraction)),
            9 => ('m', self.list(Self::string)),
            _ => ('o', self.object(depth)),
        }
    }

    fn whole(&mut self) -> Value {
        let own = format!("{}", self.dice.roll() as i64);
        Value::same(self.dice.pick(&[
            own.as_str(),
            "0",
            "-0",
            "9007199254740993",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
            "123456789012345678901234567890",
        ]))
    }

    fn fraction(&mut self) -> Value {
        let own = format!("{}.{}e-{}", self.dice.within(0..10), self.dice.roll(), self.dice.within(0..40));
        Value::same(self.dice.pick(&[
            own.as_str(),
            "-0.0",
            "1E5",
            "0.10",
            "123456789012345678901234567890.123456789012345678901234567890",
            "1e400",
            "-1e400",
            "4.9e-324",
            "1e-999",
        ]))
    }

    fn string(&mut self) -> Value {
        const PIECES: [&str; 6] = [
            "plain words ",
            "\u{e9}\u{4e2d}\u{1f600}\u{2028}\u{7f}\u{fffe}",
            r"\u00e9\uD83D\uDE00\u0000\u001f",
            r#"\"\\\/\b\f\n\r\t"#,
            "{[,:]} 1e400 -01 //",
            r"\\ud800 \\\\",
        ];
        const MENDED: [(&str, &str); 3] =
            [(r"\ud800.", r"\ufffd."), (r"\uDFFF!", r"\ufffd!"), (r"\udbff\ud83d\ude00", r"\ufffd\ud83d\ude00")];
        let mut value = Value::same("\"");
        for _ in 0..self.dice.within(0..6) {
            let piece = self.dice.pick(&PIECES);
            let (written, meant) = if self.dice.within(0..20) == 0 {
                self.tags.insert("invalid_utf8");
                MENDED[self.dice.within(0..3) as usize]
            } else {
                (piece, piece)
            };
            value.written += written;
            value.meant += meant;
        }
        value.written.push('"');
        value.meant.push('"');
        value
    }

    fn list(&mut self, item: fn(&mut Self) -> Value) -> Value {
        let mut value = Value::same("[");
        for index in 0..self.dice.within(0..4) {
            let comma = if index > 0 { format!(",{}", self.blank()) } else { String::new() };
            let item = item(self);
            value.written += &(comma.clone() + &item.written);
            value.meant += &(comma + &item.meant);
        }
        value.written.push(']');
        value.meant.push(']');
        value
    }

    fn object(&mut self, depth: u64) -> Value {
        let mut members: Vec<(Value, Value)> = Vec::new();
        let mut written = Vec::new();
        for _ in 0..self.dice.within(0..5) {
            let (name, value) = self.member(depth + 1);
            written.push(format!("\"{}\":{}", name.written, value.written));
            let before = members.len();
            members.retain(|(known, _)| known.meant != name.meant);
            if members.len() < before {
                self.tags.insert("json_duplicate");
            }
            members.push((name, value));
        }
        let meant: Vec<_> =
            members.iter().map(|(name, value)| format!("\"{}\":{}", name.written, value.meant)).collect();
        Value { written: format!("{{{}}}", written.join(",")), meant: format!("{{{}}}", meant.join(",")) }
    }

    /// A string longer than the limit, of which as many bytes are kept as have room.
    fn long_string(&mut self) -> Value {
        self.tags.insert("json_string");
        let kept = "0123456789abcdef".repeat(32_766 / 16);
        let rest = "0123456789abcdef".repeat(1 + self.dice.within(0..100) as usize);
        // 14 more bytes have room.
        Value { written: format!("\"{kept}{rest}\""), meant: format!("\"{kept}{}\"", &rest[..14]) }
    }

    /// Objects in one another, more than the limit of 20, with something beside the one that is too deep.
    fn deep(&mut self) -> Value {
        self.tags.insert("json_depth");
        let depth = 19 + self.dice.within(0..200) as usize;
        // Of 20 levels the line itself is the first.
        let opened = "{\"o_d\":".repeat(18);
        let beside = "{\"n_a\":1";
        let below = format!("{}1{}", "{\"o_d\":".repeat(depth - 18), "}".repeat(depth - 18));
        let closed = "}".repeat(18);
        Value {
            written: format!("{opened}{beside},\"o_d\":{below}}}{closed}"),
            meant: format!("{opened}{beside}}}{closed}"),
        }
    }

    fn wide(&mut self) -> Value {
        let members: Vec<_> = (0..self.dice.within(100..400)).map(|index| format!("\"n_{index}\":{index}")).collect();
        Value::same(&format!("{{{}}}", members.join(" , ")))
    }

    fn blank(&mut self) -> String {
        self.dice.pick(&["", "", "", " ", "\t ", "\r"]).to_owned()
    }
}
