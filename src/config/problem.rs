//! What is wrong with a configuration, shown at its place, with what to write instead.

use std::{fmt, ops::Range, path::Path};

/// Why a configuration is refused: every problem that was found, one paragraph each.
#[derive(Debug, thiserror::Error)]
#[error("{}", paragraphs.join("\n\n"))]
pub struct ConfigError {
    paragraphs: Vec<String>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    /// Where, as a range of [`Sources`]; none where nothing was written.
    pub(super) span: Option<Range<usize>>,
    /// What is wrong and why.
    pub(super) what: String,
    /// What to write instead.
    pub(super) hint: Option<String>,
}

/// The texts that a configuration was read from, laid end to end, so that one number names a place in any of them.
#[derive(Debug, Default)]
pub(super) struct Sources {
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    start: usize,
    /// A path, or the name of a variable.
    name: String,
    /// What the file holds; none for a variable, whose value may be a secret and is not shown.
    text: Option<String>,
    bytes: usize,
}

impl ConfigError {
    /// A refusal that is about no place in particular.
    pub(super) fn plain(text: String) -> Self {
        Self { paragraphs: vec![text] }
    }

    /// The problems in the order of their places.
    pub(super) fn new(mut problems: Vec<Problem>, sources: &Sources) -> Self {
        problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
        Self { paragraphs: problems.iter().map(|problem| sources.show(problem)).collect() }
    }
}

impl Problem {
    pub(super) fn new(span: Option<Range<usize>>, what: impl Into<String>) -> Self {
        Self { span, what: what.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Suggests the one of `known` that looks most like `written`, or names them all.
    pub(super) fn nearest<'a>(self, written: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Self {
        match nearest(written, known.clone()) {
            Some(name) => self.hint(format!("did you mean {name:?}?")),
            None => self.hint(format!("known here: {}", known.into_iter().collect::<Vec<_>>().join(", "))),
        }
    }
}

/// The one of `known` that looks most like `written`, if it looks like it at all.
pub(super) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &&str| (strsim::jaro_winkler(written, name) * 1000.0) as u32;
    known.into_iter().max_by_key(likeness).filter(|name| likeness(name) >= 800)
}

impl Sources {
    /// Adds a file's text; its places are those of the text, moved by the number that is returned.
    pub(super) fn add_file(&mut self, path: &Path, text: &str) -> usize {
        self.add(path.display().to_string(), Some(text.to_owned()), text.len())
    }

    /// Adds a variable; its one place is a range of one at the number that is returned.
    pub(super) fn add_variable(&mut self, name: &str) -> usize {
        self.add(name.to_owned(), None, 1)
    }

    fn add(&mut self, name: String, text: Option<String>, bytes: usize) -> usize {
        // One between two sources, so that the end of a file is not the beginning of a variable.
        let start = self.sources.last().map_or(0, |last| last.start + last.bytes + 1);
        self.sources.push(Source { start, name, text, bytes });
        start
    }

    fn show(&self, problem: &Problem) -> String {
        let mut out = String::new();
        // Writing to a string can't fail.
        let _ = self.write(problem, &mut out);
        out
    }

    fn write(&self, problem: &Problem, out: &mut impl fmt::Write) -> fmt::Result {
        let at = problem.span.clone().and_then(|span| {
            let source = self.sources.iter().rfind(|source| source.start <= span.start)?;
            Some((source, span.start - source.start..span.end.max(span.start) - source.start))
        });
        match at {
            Some((Source { name, text: Some(text), .. }, span)) => excerpt(name, text, span, &problem.what, out)?,
            Some((Source { name, text: None, .. }, _)) => write!(out, "{name}: {}", problem.what)?,
            None => write!(out, "{}", problem.what)?,
        }
        problem.hint.as_ref().map_or(Ok(()), |hint| write!(out, "\nhint: {hint}"))
    }
}

/// Words in the name of a setting whose value is not shown.
const SECRETS: [&str; 4] = ["password", "api_key", "secret", "token"];

/// The place, what is wrong, and the line with a caret below it.
fn excerpt(name: &str, text: &str, span: Range<usize>, what: &str, out: &mut impl fmt::Write) -> fmt::Result {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let number = text[..line_start].matches('\n').count() + 1;
    let column = text[line_start..start].chars().count() + 1;
    let secret = SECRETS.iter().any(|word| line.to_lowercase().contains(word));
    let (from, to) = shown(text, line_start..line_start + line.len(), start);
    let cut = |is_cut: bool| if is_cut { "…" } else { "" };
    let before = format!("{}{}", cut(from > line_start), &text[from..start]);
    let end = text.floor_char_boundary(span.end.clamp(start, to.max(start)));
    let carets = "^".repeat(text[start..end].chars().count().max(1));
    let line = if secret {
        hidden(line)
    } else {
        format!("{before}{}{}", &text[start..to.max(start)], cut(to < line_start + line.len()))
    };
    let gutter = " ".repeat(number.to_string().len());
    // Tabs stay tabs, so that the caret stands below its place however wide they are.
    let indent: String = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    write!(out, "{name}:{number}:{column}: {what}\n{gutter} |\n{number} | {line}\n{gutter} | {indent}{carets}")
}

/// How many bytes of a line that is too long to be shown whole are shown on either side of the place.
const AROUND: usize = 100;

/// From where to where a line is shown: whole, or, if it is a long one, what is around the place.
fn shown(text: &str, line: Range<usize>, place: usize) -> (usize, usize) {
    if line.len() <= 4 * AROUND {
        return (line.start, line.end);
    }
    let from = text.floor_char_boundary(place.saturating_sub(AROUND)).max(line.start);
    (from, text.floor_char_boundary((place + AROUND).min(line.end)))
}

/// The line without its value.
fn hidden(line: &str) -> String {
    line.split_once('=').map_or_else(|| "(not shown)".to_owned(), |(key, _)| format!("{key}= (not shown)"))
}

#[cfg(test)]
mod tests {
    use super::{Problem, Sources, nearest};
    use std::path::Path;

    #[test]
    fn a_problem_is_shown_at_its_place() {
        let mut sources = Sources::default();
        let text = "a = 1\n\tbé = 2\n";
        let file = sources.add_file(Path::new("some.toml"), text);
        let variable = sources.add_variable("LOGDRIVE_A");
        let at = text.find('b').expect("in the text");
        let problem = Problem::new(Some(file + at..file + at + 3), "no such thing").hint("leave it out");
        assert_eq!(
            sources.show(&problem),
            "some.toml:2:2: no such thing\n  |\n2 | \tbé = 2\n  | \t^^\nhint: leave it out"
        );
        let problem = Problem::new(Some(variable..variable + 1), "no such thing");
        assert_eq!(sources.show(&problem), "LOGDRIVE_A: no such thing");
        let end = Problem::new(Some(text.len()..text.len()), "ends too early");
        assert_eq!(sources.show(&end), "some.toml:3:1: ends too early\n  |\n3 | \n  | ^");
    }

    #[test]
    fn of_a_line_that_is_too_long_the_place_is_shown_with_what_is_around_it() {
        let mut sources = Sources::default();
        let text = format!("[{}bad{}]", "é".repeat(500), "x".repeat(500));
        sources.add_file(Path::new("some.json"), &text);
        let at = text.find("bad").expect("in the text");
        let shown = sources.show(&Problem::new(Some(at..at + 3), "no such thing"));
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[0].starts_with("some.json:1:502:") && shown.len() < 700, "{shown}");
        assert!(lines[2].contains("…é") && lines[2].ends_with("x…"), "{shown}");
        let place = lines[2].chars().position(|c| c == 'b');
        assert_eq!(lines[3].chars().position(|c| c == '^'), place, "{shown}");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let mut sources = Sources::default();
        sources.add_file(Path::new("some.toml"), "password = \"hunter2\"");
        let shown = sources.show(&Problem::new(Some(11..20), "too short"));
        assert!(shown.contains("password = (not shown)") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_hint_is_given_only_for_what_looks_alike() {
        let known = ["paths", "exclude", "topic"];
        assert_eq!(nearest("path", known), Some("paths"));
        assert_eq!(nearest("zebra", known), None);
    }
}
