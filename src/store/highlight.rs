//! Where in a text a query's words stand.

use std::ops::Range;

use super::{
    matches::found,
    query::{Expr, Query, Text},
    words,
};

/// The places in `message` that the query's words found, in bytes, in order and apart from each other; what the
/// query excludes is not among them.
#[must_use]
pub fn highlights(query: &Query, message: &str) -> Vec<Range<usize>> {
    let mut texts = Vec::new();
    gather(&query.expr, &mut texts);
    if texts.is_empty() {
        return Vec::new();
    }
    let places: Vec<(usize, &str)> = words::split(message).collect();
    let lower: Vec<String> = places.iter().map(|(_, word)| words::lower_text(word)).collect();
    let mut ranges = Vec::new();
    for text in texts {
        match text {
            Text::Phrase(phrase) | Text::Prefix(phrase) => ranges.extend(found(text, &lower).map(|first| {
                let (end, word) = places[first + phrase.len() - 1];
                places[first].0..end + word.len()
            })),
            Text::Contains(part) => contained(part, message, &mut ranges),
        }
    }
    merge(ranges)
}

fn gather<'a>(expr: &'a Expr, texts: &mut Vec<&'a Text>) {
    match expr {
        Expr::All | Expr::Not(_) | Expr::Field { .. } => (),
        Expr::And(inner) | Expr::Or(inner) => inner.iter().for_each(|expr| gather(expr, texts)),
        Expr::Text(text) => texts.push(text),
    }
}

/// Lower case may change how many bytes a character has, so places are carried over character by character.
fn contained(part: &str, message: &str, ranges: &mut Vec<Range<usize>>) {
    let lower = words::lower_text(message);
    let borders = |text: &str| text.char_indices().map(|(at, _)| at).chain([text.len()]).collect::<Vec<usize>>();
    let (lower_borders, borders) = (borders(&lower), borders(message));
    let original = |at: usize| lower_borders.binary_search(&at).ok().and_then(|index| borders.get(index)).copied();
    for (at, part) in lower.match_indices(part) {
        if let (Some(start), Some(end)) = (original(at), original(at + part.len())) {
            ranges.push(start..end);
        }
    }
}

fn merge(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::{super::parse, highlights};

    fn marked(question: &str, message: &str) -> Vec<String> {
        let now = "2026-11-21T10:00:00Z[UTC]".parse().unwrap();
        let query = parse(question, &now).unwrap();
        highlights(&query, message).into_iter().map(|range| message[range].to_owned()).collect()
    }

    #[test]
    fn words_phrases_and_parts_are_marked_where_they_stand() {
        let message = "ÄRGER: disk full, disk on fire; overdisked";
        assert_eq!(marked("disk", message), ["disk", "disk"]);
        assert_eq!(marked("ärger \"disk full\"", message), ["ÄRGER", "disk full"]);
        assert_eq!(marked("(fir* OR nothing)", message), ["fire"]);
        assert_eq!(marked("*disk*", message), ["disk", "disk", "disk"]);
        assert_eq!(marked("*f*", "fff"), ["fff"]);
        assert_eq!(marked("disk \"disk full\"", message), ["disk full", "disk"]);
    }

    #[test]
    fn what_is_excluded_and_what_is_asked_of_fields_is_not_marked() {
        assert!(marked("-disk level:error", "disk error").is_empty());
    }
}
