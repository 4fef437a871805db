//! The letters as a table, as JSON, or counted.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

use super::List;
use crate::{
    cli::table,
    config::Config,
    letter::{Position, Summary},
    search::terminal::{safe_json, visible},
    transfer::dead_letter::Shelf,
};

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    letter: String,
    #[serde(flatten)]
    summary: &'a Summary,
}

pub(super) fn run(config: &Config, asked: &List) -> anyhow::Result<()> {
    let shelf = super::look(config, &asked.which.filter(asked.replayed)?, asked.limit)?;
    let mut out = BufWriter::new(io::stdout().lock());
    match (asked.count, asked.json) {
        (true, json) => count(&shelf, json, &mut out)?,
        (false, true) => lines(&shelf.newest, &mut out)?,
        (false, false) => rows(&shelf.newest, &mut out)?,
    }
    out.flush()?;
    notes(&shelf, asked.count).iter().for_each(|note| eprintln!("{note}"));
    Ok(())
}

/// How many there are, the most frequent reason first.
fn count(shelf: &Shelf, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        return Ok(writeln!(out, "{}", safe_json(&serde_json::to_string(&shelf.reasons)?))?);
    }
    let mut reasons: Vec<(&String, &u64)> = shelf.reasons.iter().collect();
    reasons.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
    let rows = reasons.into_iter().map(|(name, count)| [count.to_string(), visible(name)]);
    let total = [shelf.count().to_string(), "in all".to_owned()];
    Ok(table::write(&rows.chain([total]).collect::<Vec<_>>(), &[0], out)?)
}

fn lines(letters: &[(Position, Summary)], out: &mut impl Write) -> anyhow::Result<()> {
    for (position, summary) in letters {
        let line = serde_json::to_string(&Line { letter: position.to_string(), summary })?;
        writeln!(out, "{}", safe_json(&line))?;
    }
    Ok(())
}

fn rows(letters: &[(Position, Summary)], out: &mut impl Write) -> anyhow::Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    let head = ["LETTER", "TIME", "REASON", "TASK", "FROM", "WHY"].map(str::to_owned);
    let table: Vec<[String; 6]> = [head].into_iter().chain(letters.iter().map(row)).collect();
    Ok(table::write(&table, &[], out)?)
}

fn row((position, letter): &(Position, Summary)) -> [String; 6] {
    let cell = |text: &str| visible(&text.replace('\t', " "));
    [
        position.to_string(),
        letter.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        cell(&letter.reason_type),
        cell(letter.task.as_deref().unwrap_or("-")),
        cell(&letter.origin()),
        cell(&letter.reason),
    ]
}

/// What is to be said of the answer.
fn notes(shelf: &Shelf, is_count: bool) -> Vec<String> {
    let (shown, count) = (shelf.newest.len() as u64, shelf.count());
    let mut notes = Vec::new();
    if count == 0 {
        notes.push("no dead letters".to_owned());
    } else if !is_count && shown < count {
        notes.push(format!("the newest {shown} of {count} letters, {} more; --limit shows more", count - shown));
    }
    if shelf.replayed > 0 {
        notes.push(format!("{} were replayed; list --replayed shows them, too", shelf.replayed));
    }
    if shelf.strange > 0 {
        notes.push(format!("{} records of the topic are no letters, or of a newer version", shelf.strange));
    }
    if !shelf.is_whole {
        notes.push("the topic was not looked through to its beginning: it has too much".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::{Position, Shelf, Summary, count, lines, notes, rows};

    fn letter() -> (Position, Summary) {
        let json = "{\"version\":1,\"time\":\"2026-01-01T00:00:01.5Z\",\"kind\":\"document\",\"reason_type\":\"mapping\",\
                    \"reason\":\"no\\n\\u001b[2J\\u202e\",\"topic\":\"app\",\"partition\":2,\"offset\":7,\"task\":\"web\"}";
        (Position { partition: 0, offset: 9 }, Summary::read(json.as_bytes()).expect("a letter"))
    }

    fn written(write: impl FnOnce(&mut Vec<u8>) -> anyhow::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).expect("memory takes it");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn letters_stand_in_rows_and_give_a_terminal_no_orders() {
        let said = written(|out| rows(&[letter()], out));
        let expected = "LETTER  TIME                  REASON   TASK  FROM     WHY\n\
                        0:9     2026-01-01T00:00:01Z  mapping  web   app/2/7  no␊␛[2J<U+202E>\n";
        assert_eq!(said, expected);
        let json = written(|out| lines(&[letter()], out));
        assert!(json.starts_with(r#"{"letter":"0:9","version":1,"#) && json.contains(r"\u202e"), "{json}");
        assert!(!json.trim_end().contains(char::is_control), "{json}");
    }

    #[test]
    fn reasons_are_counted_and_what_is_not_shown_is_said() {
        let reasons = [("a".to_owned(), 2), ("b".to_owned(), 30)].into();
        let shelf = Shelf { newest: vec![letter()], reasons, replayed: 4, strange: 1, is_whole: false };
        assert_eq!(written(|out| count(&shelf, false, out)), "30  b\n 2  a\n32  in all\n");
        assert_eq!(written(|out| count(&shelf, true, out)), "{\"a\":2,\"b\":30}\n");
        let said = notes(&shelf, false);
        assert_eq!(said.len(), 4, "{said:?}");
        assert!(said[0].contains("1 of 32 letters, 31 more"), "{said:?}");
        assert_eq!(notes(&Shelf { is_whole: true, ..Shelf::default() }, false), ["no dead letters"]);
    }
}
