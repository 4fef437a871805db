//! The question in tantivy's terms.
//!
//! The rule for every variant: the answer is what [`store::matches`](crate::store::matches()) gives for the document.
//! Where the index knows less, it names candidates, and those are read ([`verify`]).

use std::ops::Bound;

use jiff::Timestamp;
use tantivy::{
    Searcher, SegmentReader, Term,
    query::{AllQuery, BooleanQuery, Occur, PhrasePrefixQuery, PhraseQuery, Query, RangeQuery, TermQuery},
    schema::{Field, IndexRecordOption},
};

use crate::{
    record::Level,
    store::{
        self, Expr,
        query::{Compare, Scalar, Test, Text},
        words,
    },
};

use super::{
    contains::{ANY, candidates, candidates_and_cut, escape, nothing, pattern_query},
    entry::nanoseconds,
    excluded::Excluded,
    schema::Fields,
    term,
    tokenizer::{self, WORD_BYTES_MAX},
    verify::{Failure, verify},
};

/// In how many ways, for each segment, the last word of a phrase may go on if their positions are to be compared in
/// the index. With more, the documents are read.
const WORDS_RARE: u32 = 1_000;

/// A question on its way down.
pub(super) struct Lowering<'a> {
    /// The index's fields.
    pub fields: &'a Fields,
    /// The index as it will be asked.
    pub searcher: &'a Searcher,
    /// Where the query leaves an error it meets.
    pub failure: &'a Failure,
}

impl Lowering<'_> {
    /// The whole question.
    pub(super) fn query(&self, query: &store::Query) -> Box<dyn Query> {
        let from = query.since.map(|since| Bound::Included(nanoseconds(since)));
        let to = query.until.map(|until| Bound::Excluded(nanoseconds(until)));
        let expr = self.expr(&query.expr);
        if from.is_none() && to.is_none() {
            return expr;
        }
        all_of(vec![expr, self.time(from.unwrap_or(Bound::Unbounded), to.unwrap_or(Bound::Unbounded))])
    }

    fn expr(&self, expr: &Expr) -> Box<dyn Query> {
        match expr {
            Expr::All => Box::new(AllQuery),
            Expr::And(all) => {
                let clause = |expr: &Expr| match expr {
                    Expr::Not(inner) => (Occur::MustNot, excluded(self.expr(inner))),
                    expr => (Occur::Must, self.expr(expr)),
                };
                let mut clauses: Vec<_> = all.iter().map(clause).collect();
                if clauses.iter().all(|(occur, _)| *occur == Occur::MustNot) {
                    // Negatives alone take away from nothing.
                    clauses.push((Occur::Must, Box::new(AllQuery)));
                }
                Box::new(BooleanQuery::new(clauses))
            }
            Expr::Or(branches) => any_of(branches.iter().map(|expr| self.expr(expr)).collect()),
            Expr::Not(inner) => Box::new(BooleanQuery::new(vec![
                (Occur::Must, Box::new(AllQuery)),
                (Occur::MustNot, excluded(self.expr(inner))),
            ])),
            Expr::Text(text) => self.text(text),
            Expr::Field { name, test } => self.field(expr, name, test),
        }
    }

    fn verify(&self, expr: &Expr, candidates: Box<dyn Query>) -> Box<dyn Query> {
        verify(expr.clone(), candidates, self.fields.source, self.failure)
    }

    /// A text in the message.
    fn text(&self, text: &Text) -> Box<dyn Query> {
        let expr = || Expr::Text(text.clone());
        let (words, open) = match text {
            Text::Phrase(words) => (words, false),
            Text::Prefix(words) => (words, true),
            Text::Contains(part) => return self.contains(part),
        };
        let terms = || {
            let cut = words.iter().map(|word| tokenizer::cut(word, WORD_BYTES_MAX));
            cut.map(|word| Term::from_field_text(self.fields.message, word)).collect::<Vec<Term>>()
        };
        let found: Box<dyn Query> = match (words.as_slice(), open) {
            ([], _) => return nothing(),
            ([word], false) => term_query(self.fields.message, tokenizer::cut(word, WORD_BYTES_MAX)),
            (_, false) => Box::new(PhraseQuery::new(terms())),
            ([begin], true) => prefix(self.fields.message, tokenizer::cut(begin, WORD_BYTES_MAX)),
            ([first @ .., begin], true) if !self.is_rare(begin) => {
                let first = self.text(&Text::Phrase(first.to_vec()));
                let last = prefix(self.fields.message, tokenizer::cut(begin, WORD_BYTES_MAX));
                return self.verify(&expr(), all_of(vec![first, last]));
            }
            (_, true) => phrase_prefix(terms(), WORDS_RARE),
        };
        if words.iter().any(|word| tokenizer::may_be_cut(word)) { self.verify(&expr(), found) } else { found }
    }

    /// Whether few enough words of each segment begin so that their positions can be looked at side by side.
    fn is_rare(&self, begin: &str) -> bool {
        let begin = tokenizer::cut(begin, WORD_BYTES_MAX).as_bytes();
        let few = |segment: &SegmentReader| -> tantivy::Result<bool> {
            let words = segment.inverted_index(self.fields.message)?;
            let mut words = words.terms().range().ge(begin).into_stream()?;
            let mut count = 0;
            while count <= WORDS_RARE && words.advance() && words.key().starts_with(begin) {
                count += 1;
            }
            Ok(count <= WORDS_RARE)
        };
        self.searcher.segment_readers().iter().all(|segment| few(segment).unwrap_or(false))
    }

    fn contains(&self, part: &str) -> Box<dyn Query> {
        let expr = Expr::Text(Text::Contains(part.to_owned()));
        match candidates(part, self.fields) {
            Some(found) if found.sure && !tokenizer::may_be_cut(part) => {
                let cut = term_query(self.fields.members, &term::cut("message"));
                any_of(vec![found.query, self.verify(&expr, cut)])
            }
            Some(_) => {
                let candidates = candidates_and_cut(part, self.fields).unwrap_or_else(|| Box::new(AllQuery));
                self.verify(&expr, candidates)
            }
            None => self.verify(&expr, self.member(&term::exists("message"))),
        }
    }

    /// A test of a field, some of which the index keeps in a way of their own.
    fn field(&self, expr: &Expr, name: &str, test: &Test) -> Box<dyn Query> {
        let own = match (name, test) {
            ("message", Test::Is(text)) => self.text(&Text::Phrase(words::lower(text))),
            ("message", Test::Glob(pattern)) => self.message_glob(expr, pattern),
            ("message", Test::Compare(..) | Test::Range(..) | Test::Level(..)) => {
                return self.verify(expr, self.member(&term::exists(name)));
            }
            ("@timestamp", test) => return self.timestamp(expr, test),
            ("log.offset", test) => return self.offset(expr, test),
            ("log.level", Test::Level(compare, level)) => self.level(*compare, *level),
            (name, test) => return self.value(expr, name, test),
        };
        // A member with a field of its own, but of another type than that has, is an ordinary member.
        any_of(vec![own, self.verify(expr, self.member(&term::odd(name)))])
    }

    fn message_glob(&self, expr: &Expr, pattern: &str) -> Box<dyn Query> {
        let pattern = words::lower_text(pattern);
        let longest = pattern.split('*').max_by_key(|part| part.len()).unwrap_or_default();
        let found = candidates_and_cut(longest, self.fields);
        self.verify(expr, found.unwrap_or_else(|| self.member(&term::exists("message"))))
    }

    /// `@timestamp`, which every document has.
    fn timestamp(&self, expr: &Expr, test: &Test) -> Box<dyn Query> {
        match test {
            Test::Exists => Box::new(AllQuery),
            Test::Compare(compare, Scalar::Word(word)) => match time(word) {
                Some(time) => {
                    let (from, to) = bounds(*compare, nanoseconds(time));
                    self.time(from, to)
                }
                None => self.verify(expr, Box::new(AllQuery)),
            },
            Test::Range(Scalar::Word(low), Scalar::Word(high)) => match (time(low), time(high)) {
                (Some(low), Some(high)) => {
                    self.time(Bound::Included(nanoseconds(low)), Bound::Included(nanoseconds(high)))
                }
                _ => self.verify(expr, Box::new(AllQuery)),
            },
            _ => self.verify(expr, Box::new(AllQuery)),
        }
    }

    /// `log.offset`. Documents without one stand at 0, so candidates are looked at.
    fn offset(&self, expr: &Expr, test: &Test) -> Box<dyn Query> {
        let range = match test {
            Test::Is(text) => text.parse().ok().map(|offset: f64| (Bound::Included(offset), Bound::Included(offset))),
            Test::Compare(compare, Scalar::Number(offset)) => Some(bounds(*compare, *offset)),
            Test::Range(Scalar::Number(low), Scalar::Number(high)) => {
                Some((Bound::Included(*low), Bound::Included(*high)))
            }
            _ => None,
        };
        let Some((from, to)) = range else { return self.verify(expr, Box::new(AllQuery)) };
        // Beyond 2^53 not every offset is a number of the question's kind, so look a little further.
        let from = from.map(|offset| Term::from_field_u64(self.fields.offset, (offset * (1.0 - 1e-15)).floor() as u64));
        let to = to.map(|offset| Term::from_field_u64(self.fields.offset, (offset * (1.0 + 1e-15)).ceil() as u64));
        let candidates = range_query(included(from), included(to));
        any_of(vec![self.verify(expr, candidates), self.verify(expr, self.member(&term::odd("log.offset")))])
    }

    fn level(&self, compare: Compare, level: Level) -> Box<dyn Query> {
        let (from, to) = bounds(compare, level as u64);
        range_query(
            from.map(|level| Term::from_field_u64(self.fields.level, level)),
            to.map(|level| Term::from_field_u64(self.fields.level, level)),
        )
    }

    /// An ordinary member.
    fn value(&self, expr: &Expr, name: &str, test: &Test) -> Box<dyn Query> {
        if !term::indexable(name) {
            return self.verify(expr, Box::new(AllQuery));
        }
        match test {
            Test::Exists => self.exists(name),
            Test::Is(wanted) => self.is(expr, name, wanted),
            Test::Glob(pattern) => self.glob(expr, name, pattern),
            Test::Compare(compare, Scalar::Number(number)) if term::has_column(name) => {
                let (from, to) = bounds(*compare, *number);
                self.number(name, from, to)
            }
            Test::Range(Scalar::Number(low), Scalar::Number(high)) if term::has_column(name) => {
                self.number(name, Bound::Included(*low), Bound::Included(*high))
            }
            Test::Compare(..) | Test::Range(..) | Test::Level(..) => self.verify(expr, self.exists(name)),
        }
    }

    fn exists(&self, name: &str) -> Box<dyn Query> {
        let marked = self.member(&term::exists(name));
        if !term::has_few_values(name) {
            return marked;
        }
        any_of(vec![marked, prefix(self.fields.members, &term::text_prefix(name))])
    }

    fn is(&self, expr: &Expr, name: &str, wanted: &str) -> Box<dyn Query> {
        let (text, _) = term::text(name, wanted);
        let mut found = self.member(&text);
        if term::may_be_cut(&words::lower_text(wanted)) {
            found = self.verify(expr, found);
        }
        let mut found = vec![found];
        if let Ok(number) = wanted.parse::<f64>() {
            found.push(if term::has_column(name) {
                self.number(name, Bound::Included(number), Bound::Included(number))
            } else {
                self.verify(expr, self.exists(name))
            });
        }
        for truth in [true, false] {
            if wanted.eq_ignore_ascii_case(if truth { "true" } else { "false" }) {
                found.push(self.member(&term::truth(name, truth)));
            }
        }
        any_of(found)
    }

    fn glob(&self, expr: &Expr, name: &str, pattern: &str) -> Box<dyn Query> {
        let lower = words::lower_text(pattern);
        let begin = term::text_prefix(name);
        let cut = || self.member(&term::cut(name));
        if let Some(begins) = lower.strip_suffix('*').filter(|begins| !begins.contains('*')) {
            let kept = tokenizer::cut(begins, term::VALUE_BYTES_MAX);
            let found = prefix(self.fields.members, &format!("{begin}{kept}"));
            return if kept.len() < begins.len() { self.verify(expr, all_of(vec![found, cut()])) } else { found };
        }
        let mut regex = String::new();
        escape(&begin, &mut regex);
        for (at, part) in lower.split('*').enumerate() {
            if at > 0 {
                regex.push_str(ANY);
            }
            escape(part, &mut regex);
        }
        let Some(found) = pattern_query(&regex, self.fields.members) else {
            return self.verify(expr, self.exists(name));
        };
        // Where a value is cut, its end in the index is not its end.
        let whole = BooleanQuery::new(vec![(Occur::Must, found), (Occur::MustNot, excluded(cut()))]);
        any_of(vec![Box::new(whole), self.verify(expr, cut())])
    }

    fn member(&self, term: &str) -> Box<dyn Query> {
        term_query(self.fields.members, term)
    }

    fn number(&self, name: &str, from: Bound<f64>, to: Bound<f64>) -> Box<dyn Query> {
        let is_nan = |bound: &Bound<f64>| matches!(bound, Bound::Included(x) | Bound::Excluded(x) if x.is_nan());
        if is_nan(&from) || is_nan(&to) {
            return nothing();
        }
        let term = |number: f64| {
            let mut term = Term::from_field_json_path(self.fields.numbers, name, true);
            term.append_type_and_fast_value(number + 0.0);
            term
        };
        range_query(from.map(term), to.map(term))
    }

    fn time(&self, from: Bound<i64>, to: Bound<i64>) -> Box<dyn Query> {
        let term = |time: i64| Term::from_field_i64(self.fields.time, time);
        range_query(from.map(term), to.map(term))
    }
}

fn excluded(query: Box<dyn Query>) -> Box<dyn Query> {
    Box::new(Excluded::from(query))
}

/// Documents that answer each.
pub(super) fn all_of(queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    Box::new(BooleanQuery::intersection(queries))
}

/// Documents that answer one.
pub(super) fn any_of(queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    Box::new(BooleanQuery::union(queries))
}

/// Documents with a term.
pub(super) fn term_query(field: Field, term: &str) -> Box<dyn Query> {
    Box::new(TermQuery::new(Term::from_field_text(field, term), IndexRecordOption::Basic))
}

/// Documents with a term that begins so.
pub(super) fn prefix(field: Field, begin: &str) -> Box<dyn Query> {
    phrase_prefix(vec![Term::from_field_text(field, begin)], u32::MAX)
}

/// Documents with these terms in a row, of which the last may go on, in at most `words_max` ways. With more than one
/// term, room for as many is taken.
fn phrase_prefix(terms: Vec<Term>, words_max: u32) -> Box<dyn Query> {
    let mut query = PhrasePrefixQuery::new(terms);
    query.set_max_expansions(words_max);
    Box::new(query)
}

/// Values between two bounds, in a column.
pub(super) fn range_query(from: Bound<Term>, to: Bound<Term>) -> Box<dyn Query> {
    Box::new(RangeQuery::new(from, to))
}

/// What compares so with `value`, as a range.
fn bounds<T: Copy>(compare: Compare, value: T) -> (Bound<T>, Bound<T>) {
    match compare {
        Compare::Eq => (Bound::Included(value), Bound::Included(value)),
        Compare::Lt => (Bound::Unbounded, Bound::Excluded(value)),
        Compare::Le => (Bound::Unbounded, Bound::Included(value)),
        Compare::Gt => (Bound::Excluded(value), Bound::Unbounded),
        Compare::Ge => (Bound::Included(value), Bound::Unbounded),
    }
}

fn included<T>(bound: Bound<T>) -> Bound<T> {
    match bound {
        Bound::Excluded(value) => Bound::Included(value),
        bound => bound,
    }
}

/// A time, or a day's beginning, in UTC.
fn time(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| {
        let time = text.parse::<jiff::civil::DateTime>().ok()?;
        time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|time| time.timestamp())
    })
}
