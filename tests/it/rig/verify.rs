//! The verdict: documents against the files that they come from.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::{LogFile, index::Document};

/// Fails the test unless the documents are the files' lines: each line once, byte for byte, under its file's path
/// and the offset where it begins; no document besides, no two with one `_id`, each in the index of its own day (where
/// it has an index).
///
/// Order needs no check of its own: an offset is a line's place in its file.
pub fn same(files: &[LogFile], documents: &[Document]) {
    let mut verdict = Verdict::on(files);
    documents.iter().for_each(|document| verdict.hear(document));
    verdict.pronounce();
}

/// [`same`], for documents that come one by one.
pub struct Verdict<'a> {
    /// The lines that no document was heard of yet, by path and by offset.
    left: HashMap<&'a str, HashMap<u64, &'a [u8]>>,
    lines: usize,
    ids: HashSet<String>,
    faults: Faults,
}

impl<'a> Verdict<'a> {
    /// On documents that are to be the lines of these files.
    pub fn on(files: &'a [LogFile]) -> Self {
        let path = |file: &'a LogFile| file.path.to_str().expect("the corpus has UTF-8 names");
        let left: HashMap<_, HashMap<_, _>> = files.iter().map(|file| (path(file), file.lines().collect())).collect();
        Self { lines: left.values().map(HashMap::len).sum(), left, ids: HashSet::new(), faults: Faults::default() }
    }

    /// Takes one document into account.
    pub fn hear(&mut self, document: &Document) {
        let (path, offset) = (document.text("log.file.path"), document.number("log.offset"));
        match self.left.get_mut(path).and_then(|lines| lines.remove(&offset)) {
            None => self.faults.add("twice, or no line of ours", format!("{path} at {offset}")),
            Some(line) if document.text("message") != message(line) => {
                let line = String::from_utf8_lossy(line);
                self.faults.add("other text", format!("{path} at {offset}: {line:?} became {document:?}"));
            }
            Some(_) => (),
        }
        if !self.ids.insert(document.id.clone()) {
            self.faults.add("the same _id", document.id.clone());
        }
        let (time, index) = (document.text("@timestamp"), &document.index);
        if !index.is_empty() && !index.ends_with(&time[..10].replace('-', ".")) {
            self.faults.add("another day's index", format!("{time} in {index}"));
        }
    }

    /// Lines of a file that begin before `offset` need not be there.
    pub fn forgive(&mut self, path: &str, offset: u64) {
        if let Some(lines) = self.left.get_mut(path) {
            lines.retain(|start, _| *start >= offset);
        }
    }

    /// Fails the test if there was any fault.
    pub fn pronounce(mut self) {
        for (path, lines) in self.left {
            for (offset, line) in lines {
                self.faults.add("lost", format!("{path} at {offset}: {}", String::from_utf8_lossy(line)));
            }
        }
        assert!(self.faults.0.is_empty(), "{} lines, {} documents; {}", self.lines, self.ids.len(), self.faults);
    }
}

/// As [`same`], but the files' paths and offsets may be others by now: the lines alone are compared.
pub fn same_lines(files: &[LogFile], documents: &[Document]) {
    let mut left: HashMap<String, u32> = HashMap::new();
    for (_, line) in files.iter().flat_map(LogFile::lines) {
        *left.entry(message(line)).or_default() += 1;
    }
    let mut faults = Faults::default();
    for document in documents {
        match left.get_mut(document.text("message")) {
            Some(times) if *times > 0 => *times -= 1,
            Some(_) => faults.add("twice", format!("{document:?}")),
            None => faults.add("no line of ours", format!("{document:?}")),
        }
    }
    for (line, times) in left.into_iter().filter(|(_, times)| *times > 0) {
        faults.add("lost", format!("{times} times {line}"));
    }
    assert!(faults.0.is_empty(), "{} documents; {faults}", documents.len());
}

/// Fails the test unless each line is in at least one document, under its file's path and its offset.
pub fn at_least_once(files: &[LogFile], documents: &[Document]) {
    let found: HashSet<_> = documents
        .iter()
        .map(|document| (document.text("log.file.path"), document.number("log.offset"), document.text("message")))
        .collect();
    for file in files {
        let path = file.path.to_str().expect("the corpus has UTF-8 names");
        for (offset, line) in file.lines() {
            assert!(found.contains(&(path, offset, &*message(line))), "{path} at {offset} is lost");
        }
    }
}

/// What a document says of a line of the corpus: its bytes, or the message that a JSON line brings.
fn message(line: &[u8]) -> String {
    let text = String::from_utf8(line.to_vec()).expect("the corpus is UTF-8");
    let own =
        text.starts_with('{').then(|| serde_json::from_str::<Value>(&text).expect("the corpus has no broken JSON"));
    own.as_ref().and_then(|json| json["msg"].as_str()).map_or(text, str::to_owned)
}

/// What is wrong, by kind: how often, and the first few.
#[derive(Default)]
struct Faults(BTreeMap<&'static str, Vec<String>>);

impl Faults {
    fn add(&mut self, kind: &'static str, what: String) {
        self.0.entry(kind).or_default().push(what);
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (kind, all) in &self.0 {
            writeln!(f, "\n{kind}: {}", all.len())?;
            for one in all.iter().take(5) {
                writeln!(f, "  {}", one.chars().take(400).collect::<String>())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::LogFile, Document, same};

    fn document(offset: u64, message: &str) -> Document {
        let fields = json!({
            "@timestamp": "2026-11-20T00:00:00Z", "log.file.path": "/a", "log.offset": offset, "message": message,
        });
        let fields = fields.as_object().expect("it is one").clone();
        Document { index: "logs-2026.11.20".to_owned(), id: offset.to_string(), fields }
    }

    fn verdict(documents: &[Document]) -> Result<(), String> {
        let file = LogFile { path: "/a".into(), text: b"one\ntwo\n".to_vec() };
        let judge = std::panic::AssertUnwindSafe(|| same(&[file], documents));
        std::panic::catch_unwind(judge).map_err(|panic| *panic.downcast::<String>().expect("a message"))
    }

    #[test]
    fn the_verdict_finds_what_is_lost_doubled_changed_misplaced_or_too_much() {
        let (one, two) = (document(0, "one"), document(4, "two"));
        assert_eq!(verdict(&[two.clone(), one.clone()]), Ok(()));
        let astray = Document { index: "logs-2026.11.21".to_owned(), ..one.clone() };
        let faults = [
            (vec![one.clone()], "lost"),
            (vec![one.clone(), two.clone(), two.clone()], "twice"),
            (vec![one.clone(), document(4, "tWo")], "other text"),
            (vec![one.clone(), document(5, "two")], "no line of ours"),
            (vec![astray, two.clone()], "another day"),
            (vec![one, Document { id: "0".to_owned(), ..two }], "the same _id"),
        ];
        for (documents, fault) in faults {
            let said = verdict(&documents).expect_err(fault);
            assert!(said.contains(fault), "{fault}: {said}");
        }
    }
}
