//! What is to be known of the lines of some tasks and topics before they become documents, and which rule is whose.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use serde::Deserialize;

use super::{
    Settings,
    time::{Clock, CustomForm, FormatError},
};

/// `[[document.rules]]`: how the lines of these tasks and topics become documents. The first rule that fits a line counts, and
/// what it doesn't say is as if there were no rule.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// The tasks that it is for; `*` stands for any characters. Empty: all.
    pub tasks: Vec<String>,
    /// The Kafka topics that it is for, in the same way. `logdrive up` has none.
    pub topics: Vec<String>,
    /// Whether lines that are JSON objects are read as such.
    pub json: bool,
    /// The field under which the members of a JSON line go; none means that they go beside ours.
    pub json_target: Option<String>,
    /// The member of a JSON line that is its message, if it is a string. Dots lead into objects.
    pub message_key: Option<String>,
    /// The member of a JSON line that is its level, if it names one.
    pub level_key: Option<String>,
    /// Where the time is from.
    pub time: TimeRule,
    /// The member of a JSON line that is its time, if it is one.
    pub time_key: Option<String>,
    /// How a time is written that is in none of the usual forms: conversions of `strptime`.
    pub time_format: Option<String>,
    /// The zone of times that don't say theirs; none means that of all documents.
    #[serde(with = "jiff::fmt::serde::tz::optional")]
    pub time_zone: Option<TimeZone>,
}

/// Where the time of a document is from.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum TimeRule {
    /// The line, or what a container runtime says of it; if both have none, the reading.
    #[default]
    Line,
    /// The reading, whatever the line says.
    Read,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            tasks: Vec::new(),
            topics: Vec::new(),
            json: true,
            json_target: None,
            message_key: None,
            level_key: None,
            time: TimeRule::Line,
            time_key: None,
            time_format: None,
            time_zone: None,
        }
    }
}

impl Rule {
    /// Whether `time_format` can be used.
    ///
    /// # Errors
    /// If it can't, with the reason.
    pub fn check_time_format(&self) -> Result<(), FormatError> {
        self.time_format.as_deref().map_or(Ok(()), |format| CustomForm::parse(format).map(drop))
    }

    /// How much deeper the members of a JSON line stand than they do in the line.
    pub(super) fn depth(&self) -> usize {
        self.json_target.as_ref().map_or(0, |target| 1 + target.matches('.').count())
    }

    fn fits(&self, task: &str, topic: &str) -> bool {
        let among =
            |patterns: &[String], name| patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, name));
        among(&self.tasks, task) && among(&self.topics, topic)
    }
}

/// How many tasks and topics are remembered with their rule; there are seldom so many.
const REMEMBERED_MAX: usize = 1024;

/// The rules, each with a clock of its own, and whose rule is which.
#[derive(Debug)]
pub(super) struct Rules {
    /// The last fits everything.
    rules: Vec<Ruled>,
    current: usize,
    /// The last task and topic, as they are remembered.
    last: String,
    remembered: HashMap<String, usize>,
}

/// A rule, ready for lines.
#[derive(Debug)]
pub(super) struct Ruled {
    pub(super) rule: Rule,
    pub(super) clock: Clock,
}

impl Rules {
    /// The rules of `settings`. A time format that can't be used, which the configuration refuses, is left out.
    pub(super) fn new(settings: &Settings) -> Self {
        let ruled = |rule: Rule| {
            let zone = rule.time_zone.clone().unwrap_or_else(|| settings.time_zone.clone());
            let form = rule.time_format.as_deref().and_then(|format| CustomForm::parse(format).ok());
            Ruled { rule, clock: Clock::new(zone).with_form(form) }
        };
        let rules: Vec<Ruled> = settings.rules.iter().cloned().chain([Rule::default()]).map(ruled).collect();
        Self { current: rules.len() - 1, rules, last: String::new(), remembered: HashMap::new() }
    }

    /// Makes the rule for this task and topic the current one.
    pub(super) fn choose(&mut self, task: &str, topic: &str) -> &mut Ruled {
        if self.rules.len() > 1 && !self.is_last(task, topic) {
            self.last.clear();
            self.last.extend([task, "\0", topic]);
            self.current = match self.remembered.get(&self.last) {
                Some(known) => *known,
                None => self.find(task, topic),
            };
        }
        self.current()
    }

    fn is_last(&self, task: &str, topic: &str) -> bool {
        self.last.strip_prefix(task).and_then(|rest| rest.strip_prefix('\0')).is_some_and(|rest| rest == topic)
    }

    #[cold]
    fn find(&mut self, task: &str, topic: &str) -> usize {
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
        }
        let found = self.rules.iter().position(|ruled| ruled.rule.fits(task, topic));
        let index = found.unwrap_or(self.rules.len() - 1);
        self.remembered.insert(self.last.clone(), index);
        index
    }

    /// The rule that was chosen last; before that, the one that says nothing.
    pub(super) fn current(&mut self) -> &mut Ruled {
        &mut self.rules[self.current]
    }
}

/// Whether `name` is what `pattern` says, in which `*` stands for any characters.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((front, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(front) else { return false };
    let Some((middle, end)) = rest.rsplit_once('*') else { return name.ends_with(rest) };
    for piece in middle.split('*') {
        // The first place will do: what is behind it can only be more.
        let Some(at) = name.find(piece) else { return false };
        name = &name[at + piece.len()..];
    }
    name.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::{Rule, Rules, fits};
    use crate::document::Settings;

    #[test]
    fn a_pattern_fits_the_names_that_it_describes() {
        for (pattern, name) in [
            ("a", "a"),
            ("*", ""),
            ("a*", "a"),
            ("a*", "abc"),
            ("*c", "abc"),
            ("a*c", "abbc"),
            ("a*b*c", "axbyc"),
            ("*b*", "abc"),
            ("a**c", "ac"),
            ("*aa*", "aa"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("a", "b"), ("", "a"), ("a*", "ba"), ("*c", "cb"), ("aa*aa", "aaa"), ("a*b*c", "acb"), ("a*b*b", "ab")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_task_and_topic_counts_and_else_the_one_that_says_nothing() {
        let rule = |tasks: &[&str], topics: &[&str], key: &str| Rule {
            tasks: tasks.iter().map(|task| (*task).to_owned()).collect(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            time_key: Some(key.to_owned()),
            ..Rule::default()
        };
        let rules = vec![rule(&["web-*"], &["eu"], "1"), rule(&["web-1", "db"], &[], "2"), rule(&[], &["us"], "3")];
        let mut rules = Rules::new(&Settings { rules, ..Settings::default() });
        let table = [
            ("web-1", "eu", Some("1")),
            ("web-1", "us", Some("2")),
            ("db", "", Some("2")),
            ("x", "us", Some("3")),
            ("x", "eu", None),
            ("", "", None),
            ("web-1", "eu", Some("1")),
        ];
        for _ in 0..2 {
            for (task, topic, key) in table {
                assert_eq!(rules.choose(task, topic).rule.time_key.as_deref(), key, "{task} {topic}");
                assert_eq!(rules.current().rule.time_key.as_deref(), key, "{task} {topic}");
            }
        }
    }
}
