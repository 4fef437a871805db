//! One letter, whole.

use std::{
    io::{self, Write},
    ops::ControlFlow,
};

use anyhow::{Context, bail};
use bytesize::ByteSize;

use super::json::pretty;
use crate::{
    batcher::frame::{self, VERSION_HEADER},
    config::Config,
    letter::{Held, Position, Summary, Whole},
    search::terminal::{safe_json, visible},
    transfer::dead_letter,
};

/// So much of what is no text is shown.
const SHOWN: usize = 4096;

pub(super) fn run(config: &Config, position: Position, json: bool) -> anyhow::Result<()> {
    let topic = &config.transfer.dead_letter_topic;
    let mut found = None;
    dead_letter::find(&config.kafka, topic, &[position].into(), |_, value| {
        found = Some(value);
        ControlFlow::Break(())
    })?;
    let Some(value) = found else {
        bail!(
            "there is nothing at {position} in the topic {topic:?}, or not any more\nhint: `logdrive dead-letters list` shows what there is"
        )
    };
    let mut out = io::stdout().lock();
    if json {
        // A line break can only stand between tokens.
        let text = String::from_utf8_lossy(&value).replace(['\n', '\r'], " ");
        return Ok(writeln!(out, "{}", safe_json(&text))?);
    }
    let letter = Whole::read(&value)
        .with_context(|| format!("what is at {position} in the topic {topic:?} is no letter, or of a newer version"))?;
    write(position, &letter, &mut out)
}

fn write(position: Position, letter: &Whole, out: &mut impl Write) -> anyhow::Result<()> {
    for (name, value) in members(position, &letter.summary) {
        writeln!(out, "{name:<12}{}", visible(&value))?;
    }
    match &letter.content {
        Held::Document(json) => writeln!(out, "document\n{}", pretty(json))?,
        Held::CutDocument(text) => writeln!(out, "document, cut\n{}", visible(text))?,
        Held::Record { key, headers, value } => {
            let text = |bytes: &[u8]| visible(&String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]));
            if let Some(key) = key {
                writeln!(out, "{:<12}{}", "key", text(key))?;
            }
            for (name, value) in headers {
                let value = value.as_deref().map_or_else(|| "-".to_owned(), &text);
                writeln!(out, "{:<12}{} = {value}", "header", visible(name))?;
            }
            if let Some(lines) = unpacked(&letter.content, value) {
                return Ok(writeln!(out, "value, unpacked\n{}", text(&lines))?);
            }
            let shown = if value.len() > SHOWN { ", its beginning" } else { "" };
            writeln!(out, "value, {}{shown}\n{}", ByteSize(value.len() as u64), text(value))?;
        }
    }
    Ok(())
}

/// The lines of a packed record of ours.
fn unpacked(record: &Held, value: &[u8]) -> Option<Vec<u8>> {
    let mut lines = Vec::new();
    record.header(VERSION_HEADER)?;
    frame::decode(|name| record.header(name), value, &mut lines).ok().map(|_| lines)
}

fn members(position: Position, summary: &Summary) -> Vec<(&'static str, String)> {
    let Summary { host, task, file, file_offset, index, id, .. } = summary;
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        ("letter", position.to_string()),
        ("time", summary.time.to_string()),
        ("reason", format!("{}: {}", summary.reason_type, summary.reason)),
        ("from", summary.origin()),
        ("host", or_none(host)),
        ("task", or_none(task)),
        ("file", or_none(file)),
        ("offset", file_offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string())),
        ("index", or_none(index)),
        ("id", or_none(id)),
        ("cut", if summary.cut { "yes".to_owned() } else { "no".to_owned() }),
    ]
}

#[cfg(test)]
mod tests {
    use super::{Position, Whole, write};

    fn shown(json: &str) -> String {
        let letter = Whole::read(json.as_bytes()).expect("a letter");
        let mut out = Vec::new();
        write(Position { partition: 0, offset: 9 }, &letter, &mut out).expect("memory takes it");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_letter_is_shown_whole_and_gives_a_terminal_no_orders() {
        let head = r#""version":1,"time":"2026-01-01T00:00:01Z","reason_type":"a","reason":"\u001b[2J","topic":"app""#;
        let document = shown(&format!(r#"{{{head},"kind":"document","index":"logs","document":{{"n":1.0}}}}"#));
        assert!(document.contains("reason      a: ␛[2J\n") && document.contains("index       logs\n"), "{document}");
        assert!(document.ends_with("document\n{\n  \"n\": 1.0\n}\n"), "{document}");
        let cut = shown(&format!(r#"{{{head},"kind":"document","cut":true,"document":"{{\"n\u001b"}}"#));
        assert!(cut.ends_with("document, cut\n{\"n␛\n"), "{cut}");
        let record =
            shown(&format!(r#"{{{head},"kind":"record","headers":[["x","Gw=="],["y",null]],"value":"YRs="}}"#));
        assert!(record.ends_with("header      x = ␛\nheader      y = -\nvalue, 2 B\na␛\n"), "{record}");
    }
}
