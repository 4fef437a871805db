//! A report for people.

use std::io::{self, Write};

use bytesize::ByteSize;

use crate::{
    audit::{Difference, FileReport, Question, Report, Verdict},
    cli::table,
    search::terminal::visible,
};

/// So many files are shown in which nothing is to be told; all the others are.
const PROVEN_SHOWN: usize = 50;

/// Writes a table of the files, and what is to be told of each.
pub(super) fn files(report: &Report, out: &mut impl Write) -> io::Result<()> {
    if report.files.is_empty() {
        return Ok(());
    }
    let head = ["WRITTEN", "INDEXED", "DEAD", "UNDER WAY", "MISSING", "DOUBLED", "OFFSETS", "FILE", "PATH"];
    let mut rows = vec![head.map(str::to_owned)];
    let mut proven = 0;
    for file in &report.files {
        if !is_told(file) {
            proven += 1;
        }
        if is_told(file) || proven <= PROVEN_SHOWN {
            rows.push(cells(file));
        }
    }
    table::write(&rows, &[0, 1, 2, 3, 4, 5], out)?;
    if proven > PROVEN_SHOWN {
        writeln!(out, "and {} more of which all is well", proven - PROVEN_SHOWN)?;
    }
    for file in report.files.iter().filter(|file| is_told(file)) {
        writeln!(out, "\n{}  {}", visible(&file.path), short(file))?;
        for difference in &file.differences {
            let (what, places, text) = told(difference);
            writeln!(out, "  {what:<12}{places:<24}{}", visible(&text))?;
        }
        if file.unlisted > 0 {
            writeln!(out, "  and {} more (--limit)", file.unlisted)?;
        }
    }
    writeln!(out)
}

/// Writes what the report comes to.
pub(super) fn end(report: &Report, question: &Question, out: &mut impl Write) -> io::Result<()> {
    let remarks = report.remarks.iter().cloned().chain(counted(report));
    for remark in remarks {
        writeln!(out, "! {}", visible(&remark))?;
    }
    for what in &report.unprovable {
        writeln!(out, "? {}", visible(what))?;
    }
    writeln!(out, "{}", verdict(report, question))
}

fn is_told(file: &FileReport) -> bool {
    file.is_different() || !file.differences.is_empty()
}

fn cells(file: &FileReport) -> [String; 9] {
    let FileReport { written, indexed, dead_lettered, under_way, missing, doubled, start, end, .. } = file;
    [
        written.to_string(),
        indexed.to_string(),
        dead_lettered.to_string(),
        under_way.to_string(),
        missing.to_string(),
        (doubled + file.stray).to_string(),
        format!("{start}-{end}"),
        short(file),
        visible(&file.path),
    ]
}

/// The first digits of a file's identity, and its generation if it is not the first.
fn short(file: &FileReport) -> String {
    let digits = &file.file[..file.file.len().min(8)];
    if file.generation == 0 { digits.to_owned() } else { format!("{digits}.{}", file.generation) }
}

/// What it is, where, and what there is to say.
fn told(difference: &Difference) -> (&'static str, String, String) {
    let range = |start: &u64, end: &u64| format!("{start}-{end}");
    match difference {
        Difference::Missing { start, end, lines, text } => {
            let text = text.as_ref().map_or_else(String::new, |text| format!(": {text}"));
            ("missing", range(start, end), format!("{}{text}", lines_of(*lines)))
        }
        Difference::Counted { start, end, lines, documents } => {
            let text = format!("{}, and {documents} documents; not looked at one by one", lines_of(*lines));
            ("differs", range(start, end), text)
        }
        Difference::Doubled { offset, indices, ids } => {
            let mut ids = ids.clone();
            ids.dedup();
            ("doubled", offset.to_string(), format!("in {}, _id {}", indices.join(" and "), ids.join(", ")))
        }
        Difference::Stray { offset, index, id } => {
            ("stray", offset.to_string(), format!("no line begins there; in {index}, _id {id}"))
        }
        Difference::DeadLetter { offset, letter, reason } => {
            ("dead letter", offset.to_string(), format!("{letter}  {reason}"))
        }
        Difference::DeadRecord { start, end, lines } => {
            ("dead letter", range(start, end), format!("{} of records that are dead letters", lines_of(*lines)))
        }
        Difference::Absent { start, end, documents } => {
            let text = format!("{}; the store has {documents} documents of them", ByteSize(end - start));
            ("not in kafka", range(start, end), text)
        }
    }
}

fn lines_of(count: u64) -> String {
    if count == 1 { "1 line".to_owned() } else { format!("{count} lines") }
}

/// What was counted and is of no file in the table.
fn counted(report: &Report) -> Vec<String> {
    let mut counted = Vec::new();
    let unsent: u64 = report.files.iter().filter_map(|file| file.unsent_bytes).sum();
    if unsent > 0 {
        counted.push(format!("{} of these files are not sent yet", ByteSize(unsent)));
    }
    if report.untold > 0 {
        counted.push(format!("{} records tell of no file, and are not audited", report.untold));
    }
    if report.lost_letters > 0 {
        counted.push(format!("{} dead letters can't be told to be of any of these files", report.lost_letters));
    }
    if report.unseen > 0 {
        counted.push(format!(
            "{} more files were sent from here, and Kafka has no record of them any more",
            report.unseen
        ));
    }
    counted
}

fn verdict(report: &Report, question: &Question) -> String {
    let sum = |of: fn(&FileReport) -> u64| report.files.iter().map(of).sum::<u64>();
    let window = match (question.since, question.until) {
        (None, None) => "that Kafka has".to_owned(),
        (Some(since), None) => format!("sent since {since:.0}"),
        (None, Some(until)) => format!("that Kafka has from before {until:.0}"),
        (Some(since), Some(until)) => format!("sent from {since:.0} to {until:.0}"),
    };
    let what = format!(
        "{} of {} {window}, in {} records of {}",
        lines_of(sum(|file| file.written)),
        if report.files.len() == 1 { "1 file".to_owned() } else { format!("{} files", report.files.len()) },
        report.records,
        report.topics.join(", ")
    );
    let parts = [
        (sum(|file| file.indexed), "indexed"),
        (sum(|file| file.dead_lettered), "dead letters"),
        (sum(|file| file.under_way), "still under way"),
        (sum(|file| file.missing), "missing"),
        (sum(|file| file.doubled), "documents too many"),
        (sum(|file| file.stray), "documents where no line begins"),
        (sum(|file| file.absent_bytes), "bytes that no record holds"),
    ];
    // The first is told always.
    let parts = parts.iter().enumerate().filter(|(at, (count, _))| *at == 0 || *count > 0);
    let parts: Vec<String> = parts.map(|(_, (count, name))| format!("{count} {name}")).collect();
    let verdict = match report.verdict() {
        Verdict::Proven if sum(|file| file.under_way) > 0 => "proven, as far as the transfer is",
        Verdict::Proven => "proven",
        Verdict::Unprovable => "no difference found, and not everything can be proven",
        Verdict::Different => "not so",
    };
    format!("{verdict}: {what}: {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{Difference, FileReport, Question, Report, end, files};

    fn shown(report: &Report) -> String {
        let mut out = Vec::new();
        files(report, &mut out).expect("memory takes it");
        end(report, &Question::default(), &mut out).expect("memory takes it");
        String::from_utf8(out).expect("text")
    }

    fn file(path: &str) -> FileReport {
        FileReport {
            path: path.to_owned(),
            file: "3f2a9c01".repeat(4),
            end: 500,
            written: 10,
            indexed: 10,
            ..FileReport::default()
        }
    }

    #[test]
    fn what_is_proven_is_said_in_one_line_and_no_more_than_that() {
        let report = Report {
            topics: vec!["nginx".to_owned()],
            records: 3,
            files: vec![file("/a.log"), FileReport { indexed: 4, under_way: 6, ..file("/b.log") }],
            untold: 2,
            ..Report::default()
        };
        let expected = "\
WRITTEN  INDEXED  DEAD  UNDER WAY  MISSING  DOUBLED  OFFSETS  FILE      PATH
     10       10     0          0        0        0  0-500    3f2a9c01  /a.log
     10        4     0          6        0        0  0-500    3f2a9c01  /b.log

! 2 records tell of no file, and are not audited
proven, as far as the transfer is: 20 lines of 2 files that Kafka has, in 3 records of nginx: 14 indexed, 6 still under way
";
        assert_eq!(shown(&report), expected);
    }

    #[test]
    fn what_is_not_as_it_should_be_is_listed_and_gives_a_terminal_no_orders() {
        let differences = vec![
            Difference::Missing { start: 40, end: 90, lines: 2, text: Some("GET \u{1b}[2J".to_owned()) },
            Difference::Doubled {
                offset: 120,
                indices: vec!["a".to_owned(), "b".to_owned()],
                ids: vec!["x".to_owned(), "x".to_owned()],
            },
        ];
        let different = FileReport { indexed: 8, missing: 2, doubled: 1, unlisted: 7, differences, ..file("/a.log") };
        let report = Report { files: vec![different], unprovable: vec!["no".to_owned()], ..Report::default() };
        let shown = shown(&report);
        assert!(shown.contains("\n  missing     40-90                   2 lines: GET ␛[2J\n"), "{shown}");
        assert!(shown.contains("\n  doubled     120                     in a and b, _id x\n  and 7 more"), "{shown}");
        assert!(shown.contains("\n? no\nnot so: 10 lines of 1 file"), "{shown}");
    }
}
