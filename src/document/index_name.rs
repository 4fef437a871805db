//! The name of the index or data stream that a document goes to, made from its topic, its task, its fields and its day.
//!
//! A template is text with `{topic}`, `{task}`, `{[a.field]}`, `%Y`, `%m`, `%d`, `%H`, `%j` (day of the year) and `%%`;
//! times are in UTC, so that a name doesn't depend on where the transfer runs. One with a field begins with text of its
//! own, so that no document decides alone where it goes.
//!
//! What is made of it is a name that Elasticsearch and OpenSearch take ("Create index API", path parameters: lower
//! case; none of `\ / * ? " < > |`, blank, `,` and `#`, nor `:`; not beginning with `-`, `_` or `+`; not `.` or `..`;
//! at most 255 bytes): letters become small, a character that isn't allowed becomes `-`, one that isn't allowed in
//! front is left out, and so is what is too much.

use jiff::Timestamp;
use thiserror::Error;

use super::routes::Routes;

/// The most bytes that a name may have.
const BYTES_MAX: usize = 255;

/// Why a template can't be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TemplateError {
    /// Nothing, or only what is not allowed in front of a name.
    #[error("the index name template {0:?} makes an empty name: write one such as \"logs-{{topic}}-%Y.%m.%d\"")]
    Empty(String),
    /// A brace with something else in it.
    #[error(
        "the index name template has {0:?}, which means nothing: use {{topic}}, {{task}} or a field, {{[labels.service]}}"
    )]
    Name(String),
    /// A field before any text.
    #[error(
        "the index name template {0:?} has a field and no fixed beginning: write one such as \"logs-{{[labels.service]}}\""
    )]
    Prefix(String),
    /// A percent sign with something else behind it.
    #[error(
        "the index name template has \"%{0}\", which means nothing: use %Y, %m, %d, %H, %j, or %% for a percent sign"
    )]
    Time(String),
}

/// A template that was understood, and the name it made last.
#[derive(Clone, Debug)]
pub struct IndexName {
    pieces: Vec<Piece>,
    /// How long a name holds, in seconds: an hour if the hour is in it, else a day.
    period: i64,
    routes: Routes,
    last: Last,
}

/// How many different combinations of values fields have in names by default, in one process.
pub const ROUTES_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Topic,
    Task,
    /// A field of the document, by its number.
    Field(usize),
    /// Year, month, day, hour or day of the year, by its letter.
    Time(char),
}

#[derive(Clone, Debug, Default)]
struct Last {
    /// Which period since 1970; none before the first name.
    period: Option<i64>,
    topic: String,
    task: String,
    name: String,
}

impl IndexName {
    /// Understands a template.
    ///
    /// # Errors
    /// If it has a placeholder that doesn't exist, or could make an empty name.
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        Self::with_routes(template, ROUTES_MAX)
    }

    /// As [`IndexName::parse`], for so many combinations of values of fields. Copies of it count them together.
    ///
    /// # Errors
    /// As [`IndexName::parse`].
    pub fn with_routes(template: &str, routes_max: usize) -> Result<Self, TemplateError> {
        let mut routes = Routes::new(routes_max);
        let pieces = pieces(template, &mut routes)?;
        let has_prefix = matches!(pieces.first(), Some(Piece::Text(text)) if !clean(text).is_empty());
        if !routes.is_empty() && !has_prefix {
            return Err(TemplateError::Prefix(template.to_owned()));
        }
        let is_empty = |piece: &Piece| matches!(piece, Piece::Text(text) if clean(text).is_empty());
        if pieces.iter().all(is_empty) {
            return Err(TemplateError::Empty(template.to_owned()));
        }
        let period = if pieces.contains(&Piece::Time('H')) { 3_600 } else { 86_400 };
        Ok(Self { pieces, period, routes, last: Last::default() })
    }

    /// The name for a document, which is given as JSON. Cheap if topic, task and day are those of the call before; of a
    /// template with fields, if their values are, too.
    pub fn name(&mut self, topic: &str, task: &str, time: Timestamp, document: &[u8]) -> &str {
        let period = time.as_second().div_euclid(self.period);
        let is_other = self.routes.look(document);
        let last = &self.last;
        if is_other || last.period != Some(period) || last.topic != topic || last.task != task {
            let name = self.make(topic, task, time);
            self.last = Last { period: Some(period), topic: topic.to_owned(), task: task.to_owned(), name };
        }
        &self.last.name
    }

    /// A pattern with `*` that every name fits, for an index template: `logs-*`.
    #[must_use]
    pub fn pattern(&self) -> String {
        let mut pattern = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) if pattern.is_empty() => pattern.push_str(&clean(text)),
                Piece::Text(text) => pattern.extend(text.chars().flat_map(allowed)),
                _ if pattern.ends_with('*') => (),
                _ => pattern.push('*'),
            }
        }
        pattern
    }

    fn make(&self, topic: &str, task: &str, time: Timestamp) -> String {
        let time = time.to_zoned(jiff::tz::TimeZone::UTC);
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Topic => name.push_str(topic),
                Piece::Task => name.push_str(task),
                Piece::Field(number) => name.push_str(self.routes.value(*number)),
                Piece::Time('Y') => name.push_str(&format!("{:04}", time.year())),
                Piece::Time('m') => name.push_str(&format!("{:02}", time.month())),
                Piece::Time('d') => name.push_str(&format!("{:02}", time.day())),
                Piece::Time('H') => name.push_str(&format!("{:02}", time.hour())),
                Piece::Time(_) => name.push_str(&format!("{:03}", time.day_of_year())),
            }
        }
        let name = clean(&name);
        // Only a topic or task of nothing but what is left out leaves nothing.
        if name.trim_matches('.').is_empty() { "logs".to_owned() } else { name }
    }
}

fn pieces(template: &str, routes: &mut Routes) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = template.chars();
    while let Some(c) = rest.next() {
        let piece = match c {
            '%' => match rest.next() {
                Some('%') => {
                    text.push('%');
                    continue;
                }
                Some(letter @ ('Y' | 'm' | 'd' | 'H' | 'j')) => Piece::Time(letter),
                other => return Err(TemplateError::Time(other.map(String::from).unwrap_or_default())),
            },
            '{' => {
                let behind = rest.as_str();
                let (piece, behind) = match (behind.strip_prefix("topic}"), behind.strip_prefix("task}")) {
                    (Some(behind), _) => (Piece::Topic, behind),
                    (_, Some(behind)) => (Piece::Task, behind),
                    _ => match field(behind) {
                        Some((name, behind)) => (Piece::Field(routes.add(name)), behind),
                        None => return Err(TemplateError::Name(unknown(behind))),
                    },
                };
                rest = behind.chars();
                piece
            }
            c => {
                text.push(c);
                continue;
            }
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(piece);
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// The field of the placeholder that begins with a brace before `behind`, and what comes behind it.
fn field(behind: &str) -> Option<(&str, &str)> {
    let (name, behind) = behind.strip_prefix('[')?.split_once("]}")?;
    let is_name = !name.split('.').any(|part| part.trim().is_empty()) && !name.contains(['[', ']', '{', '}']);
    is_name.then_some((name, behind))
}

/// The placeholder that begins with a brace before `behind`, as it was written.
fn unknown(behind: &str) -> String {
    let end = behind.find('}').map_or(behind.len(), |brace| brace + 1);
    format!("{{{}", &behind[..end])
}

/// `c` in lower case, or `-` if no name may have it.
fn allowed(c: char) -> impl Iterator<Item = char> {
    let refused = matches!(c, '\\' | '/' | '*' | '?' | '"' | '<' | '>' | '|' | ',' | '#' | ':');
    let c = if refused || c.is_whitespace() || c.is_control() { '-' } else { c };
    c.to_lowercase()
}

/// The nearest name that is allowed; empty if nothing of it is.
fn clean(name: &str) -> String {
    let mut clean: String = name.chars().flat_map(allowed).collect();
    let front = clean.len() - clean.trim_start_matches(['-', '_', '+']).len();
    clean.drain(..front);
    clean.truncate(clean.floor_char_boundary(BYTES_MAX));
    clean
}

#[cfg(test)]
mod tests {
    use super::{IndexName, TemplateError};
    use proptest::prelude::*;

    fn name(template: &str, topic: &str) -> String {
        let time = "2024-02-03T23:59:59Z".parse().expect("a time");
        IndexName::parse(template).expect("a template").name(topic, "Web", time, b"{}").to_owned()
    }

    #[test]
    fn names_are_made_of_the_template_and_are_allowed() {
        let table = [
            ("logs-{topic}-%Y.%m.%d", "nginx", "logs-nginx-2024.02.03"),
            ("{topic}-{task}-%Y.%j-%H", "a", "a-web-2024.034-23"),
            ("logs-{topic}-default", "App/Müller: x", "logs-app-müller--x-default"),
            ("{topic}", "__audit", "audit"),
            ("{topic}", "..", "logs"),
            ("{topic}", "_", "logs"),
            ("a%%b", "x", "a%b"),
        ];
        for (template, topic, expected) in table {
            assert_eq!(name(template, topic), expected, "{template} {topic}");
        }
        assert_eq!(name("{topic}", &"é".repeat(200)).len(), 254);
    }

    #[test]
    fn a_template_that_is_not_understood_says_why() {
        assert_eq!(IndexName::parse("").err(), Some(TemplateError::Empty(String::new())));
        assert_eq!(IndexName::parse("-_").err(), Some(TemplateError::Empty("-_".to_owned())));
        assert_eq!(IndexName::parse("a-%S").err(), Some(TemplateError::Time("S".to_owned())));
        assert_eq!(IndexName::parse("a-%").err(), Some(TemplateError::Time(String::new())));
        assert_eq!(IndexName::parse("{index}").err(), Some(TemplateError::Name("{index}".to_owned())));
        assert_eq!(IndexName::parse("{topic").err(), Some(TemplateError::Name("{topic".to_owned())));
    }

    #[test]
    fn the_name_changes_with_the_day_the_topic_and_the_task_and_back() {
        let mut names = IndexName::parse("{topic}-{task}-%d").expect("a template");
        let day = |day: i64| jiff::Timestamp::from_second(day * 86_400).expect("a time");
        assert_eq!(names.name("a", "x", day(0), b"{}"), "a-x-01");
        assert_eq!(names.name("a", "x", day(1), b"{}"), "a-x-02");
        assert_eq!(names.name("b", "x", day(1), b"{}"), "b-x-02");
        assert_eq!(names.name("b", "y", day(1), b"{}"), "b-y-02");
        assert_eq!(names.name("a", "x", day(0), b"{}"), "a-x-01");
    }

    #[test]
    fn a_field_of_the_document_is_a_part_of_the_name_behind_a_fixed_beginning() {
        let mut names = IndexName::with_routes("logs-{[labels.service]}-{topic}-%d", 2).expect("a template");
        let mut name =
            |document: &str| names.name("t", "", jiff::Timestamp::UNIX_EPOCH, document.as_bytes()).to_owned();
        let table = [
            (r#"{"labels":{"service":"API /v2"}}"#, "logs-api--v2-t-01"),
            (r#"{"labels.service":"web"}"#, "logs-web-t-01"),
            (r#"{"labels.service":"more"}"#, "logs-other-t-01"),
            (r#"{"labels.service":{"a":1}}"#, "logs-other-t-01"),
            (r#"{}"#, "logs-other-t-01"),
            (r#"{"labels.service":"API /v2"}"#, "logs-api--v2-t-01"),
        ];
        for (document, expected) in table {
            assert_eq!(name(document), expected, "{document}");
        }
        let pattern = IndexName::parse("logs-{[a]}-{[b.c]}").expect("a template").pattern();
        assert_eq!(pattern, "logs-*-*");
        for template in ["{[a]}", "{topic}-{[a]}", "-{[a]}"] {
            assert_eq!(IndexName::parse(template).err(), Some(TemplateError::Prefix(template.to_owned())));
        }
        for template in ["a-{[]}", "a-{[b}", "a-{[b..c]}", "a-{[b]"] {
            assert!(matches!(IndexName::parse(template), Err(TemplateError::Name(_))), "{template}");
        }
    }

    #[test]
    fn the_pattern_covers_what_the_template_makes() {
        for (template, pattern) in [("logs-{topic}-%Y.%m.%d", "logs-*-*.*.*"), ("Logs", "logs"), ("{topic}{task}", "*")]
        {
            assert_eq!(IndexName::parse(template).expect("a template").pattern(), pattern);
        }
    }

    proptest! {
        #[test]
        fn any_topic_makes_a_name_that_is_allowed(topic in any::<String>()) {
            let name = name("{topic}", &topic);
            prop_assert!(!name.is_empty() && name.len() <= 255 && name != "." && name != "..");
            prop_assert!(!name.starts_with(['-', '_', '+']));
            prop_assert!(!name.contains(|c: char| "\\/*?\"<>|,#: ".contains(c)));
            prop_assert_eq!(name.to_lowercase(), name);
        }
    }
}
