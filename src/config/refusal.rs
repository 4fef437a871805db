//! What the TOML reader and the types refuse, in words that say what to write instead.

use super::problem::Problem;

/// What an error means. `text` is the file, if it is the TOML reader's, whose places are those of the file.
pub(super) fn meant(error: &toml::de::Error, text: Option<&str>) -> Problem {
    let message = error.message();
    let written = error.span().and_then(|span| text?.get(span)).unwrap_or_default();
    let problem = |what: String| Problem::new(error.span(), what);
    let between = |before: &str, after: &str| message.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    if let Some(name) = between("missing field `", "`") {
        let value = if name == "paths" { "[\"/var/log/*.log\"]" } else { "\"…\"" };
        return problem(format!("the setting {name:?} is missing here")).hint(format!("add {name} = {value}"));
    }
    if let Some((number, kind)) =
        message.strip_prefix("invalid value: integer `").and_then(|rest| rest.split_once("`, expected "))
    {
        return problem(format!("{number} is out of range")).hint(range(kind));
    }
    if message.contains("time zone") {
        return problem("there is no such time zone".to_owned())
            .hint("write it as \"Europe/Berlin\" or \"UTC\", or leave it out to use this machine's");
    }
    // Our own types say in quotes what was written, and what to do behind a semicolon.
    if message.starts_with('"') {
        return match message.split_once("; ") {
            Some((what, hint)) => problem(what.to_owned()).hint(hint),
            None => problem(message.to_owned()),
        };
    }
    if let Some((_, what, hint)) = TOML.iter().find(|(theirs, ..)| message.starts_with(theirs)) {
        return problem((*what).to_owned()).hint(*hint);
    }
    let shown = if written.is_empty() { "this".to_owned() } else { format!("{written:?}") };
    problem(format!("{shown} can't be read: {}", message.replace('\n', "; ")))
}

/// How the TOML reader's messages begin, what they mean, and what to do.
const TOML: [(&str, &str, &str); 5] = [
    ("string values must be quoted", "a text has to stand in quotes", "write it as \"…\""),
    (
        "missing escaped value",
        "a backslash in double quotes has to be followed by one of b, e, f, n, r, t, u, x, \" and \\",
        "write the text in single quotes, which take it as it stands: '^\\d+'",
    ),
    ("duplicate key", "this stands in the file a second time", "join the two, or leave one of them out"),
    ("invalid basic string", "a text is not closed", "write a \" at its end"),
    ("invalid literal string", "a text is not closed", "write a ' at its end"),
];

/// What a whole number may be, by the type that takes it.
fn range(kind: &str) -> String {
    let max = match kind {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        _ => return "write a whole number that is not negative".to_owned(),
    };
    format!("write a whole number from 0 to {max}")
}
