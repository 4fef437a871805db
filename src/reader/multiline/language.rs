//! Stack traces as languages write them: tables of which line may follow which.
//!
//! The rules are those that Fluent Bit and Google's fluent-plugin-detect-exceptions have come to, with a few more: a
//! message may begin within a trace too, since one that has reached a limit goes on as another.

use regex::bytes::RegexSet;

/// Behind a line that matches `pattern` and that came in one of the states `from`, the message is in state `to`.
pub(super) struct Rule {
    from: &'static [&'static str],
    pattern: &'static str,
    to: &'static str,
}

/// Before the first line of a message.
const START: &str = "start";

/// Behind its last.
const DONE: &str = "done";

const fn rule(from: &'static [&'static str], pattern: &'static str, to: &'static str) -> Rule {
    Rule { from, pattern, to }
}

/// Java, its relatives, and JavaScript.
pub(super) const JAVA: &[Rule] = &[
    rule(&["start", "nested"], r"(?:Exception|Error|Throwable|V8 errors stack trace)(?::|$)", "thrown"),
    rule(&["thrown"], r"^[\t ]*nested exception is:[\t ]*", "nested"),
    rule(&["thrown"], r"^$", "thrown"),
    rule(&["start", "thrown", "trace"], r"^[\t ]+(?:eval )?at ", "trace"),
    rule(&["thrown", "trace"], r"^[\t ]+--- End of inner exception stack trace ---$", "trace"),
    rule(
        &["thrown", "trace"],
        r"^--- End of stack trace from previous location where exception was thrown ---$",
        "trace",
    ),
    rule(&["start", "thrown", "trace"], r"^[\t ]*(?:Caused by|Suppressed):", "thrown"),
    rule(&["start", "thrown", "trace"], r"^[\t ]*\.\.\. \d+ (?:more|common frames omitted)", "trace"),
];

/// Python. Every indented line belongs to a traceback, and the first that is not is its last.
pub(super) const PYTHON: &[Rule] = &[
    rule(&["start"], r"^(?:\S.*)?Traceback \(most recent call last\):$", "trace"),
    rule(&["start"], r#"^[\t ]+File ""#, "trace"),
    rule(&["trace"], r"^[\t ]", "trace"),
    rule(&["trace"], r"^[^\s.():]+(?:\.[^\s.():]+)*(?::|$)", "done"),
];

/// Go.
pub(super) const GO: &[Rule] = &[
    rule(&["start"], r"\bpanic: |^fatal error: ", "panic"),
    rule(&["start"], r"http: panic serving", "goroutine"),
    rule(&["start", "goroutine"], r"^goroutine \d+ \[[^\]]+\]:$", "frame"),
    rule(&["panic"], r"^[\t ]+panic: ", "panic"),
    rule(&["panic"], r"^\[signal ", "signal"),
    rule(&["panic", "signal", "frame"], r"^$", "goroutine"),
    rule(&["start", "frame"], r"^(?:[^\s.:]+\.)+[^\s.():]+\([^ ]*\)$|^created by ", "code"),
    rule(&["frame"], r"^(?:[^\s.:]+\.)*[^\s.():]+\(|^created by ", "code"),
    rule(&["frame"], r"^\.\.\.", "frame"),
    rule(&["frame", "goroutine"], r"^exit status \d+$", "done"),
    rule(&["code"], r"^\s", "frame"),
];

/// A language's rules, ready to be used.
#[derive(Debug)]
pub(super) struct Language {
    /// For each state what may come then; the first is [`START`].
    states: Vec<Turns>,
}

/// The patterns that count in a state, and in which state each leads; none if the message ends.
#[derive(Debug)]
struct Turns {
    patterns: RegexSet,
    to: Vec<Option<u8>>,
}

impl Language {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut names = vec![START];
        for rule in rules {
            if rule.to != DONE && !names.contains(&rule.to) {
                names.push(rule.to);
            }
        }
        let number = |name: &str| names.iter().position(|known| *known == name).map(|number| number as u8);
        let states = names.iter().map(|name| {
            let rules = || rules.iter().filter(|rule| rule.from.contains(name));
            let patterns = RegexSet::new(rules().map(|rule| rule.pattern));
            let patterns = patterns.expect("the patterns above are regular expressions, which a test makes sure of");
            Turns { patterns, to: rules().map(|rule| number(rule.to)).collect() }
        });
        Self { states: states.collect() }
    }

    /// The state behind `line` as a message's first; none if nothing may follow it.
    pub(super) fn begin(&self, line: &[u8]) -> Option<u8> {
        self.turn(0, line).flatten()
    }

    /// The state behind `line` in state `state`, none if it is the last line; none at all if it does not belong there.
    pub(super) fn go_on(&self, state: u8, line: &[u8]) -> Option<Option<u8>> {
        self.turn(state, line)
    }

    fn turn(&self, state: u8, line: &[u8]) -> Option<Option<u8>> {
        let Turns { patterns, to } = &self.states[usize::from(state)];
        let first = patterns.matches(line).iter().next()?;
        Some(to[first])
    }
}
