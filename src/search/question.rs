//! The parameters of a request, read into a question.

use jiff::{Zoned, tz::TimeZone};
use serde::Deserialize;

use super::answer::{Code, Problem, Question, read_cursor};
use crate::store::{self, End, Page, Query};

/// How many hits a page has if the request doesn't say.
const LIMIT_DEFAULT: usize = 100;
/// How many hits a page has at most.
pub(super) const LIMIT_MAX: usize = 1_000;
/// How many bars a histogram has if the request doesn't say, and at most.
const BUCKETS: (usize, usize) = (120, 1_000);
/// The smallest size to which fields can be cut, in bytes.
const CUT_BYTES_MIN: usize = 256;

/// The parameters that all requests share; everything is text until it is read here, so that errors are ours.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    /// The question.
    q: Option<String>,
    /// The window, where `q` doesn't say one.
    since: Option<String>,
    until: Option<String>,
    /// The zone in which times without one are understood, by its IANA name; UTC if not given.
    tz: Option<String>,
    /// Hits a page.
    limit: Option<String>,
    /// Where the last page ended.
    cursor: Option<String>,
    /// Bars of a histogram.
    buckets: Option<String>,
    /// Cut strings longer than this many bytes.
    cut: Option<String>,
}

/// A request that was understood.
pub(super) struct Asked {
    pub(super) query: Query,
    pub(super) question: Question,
}

impl Parameters {
    pub(super) fn question(&self) -> Result<Asked, Problem> {
        let zone = match self.tz.as_deref().unwrap_or("UTC") {
            "UTC" => TimeZone::UTC,
            name => TimeZone::get(name)
                .map_err(|_| bad(format!("`{name}` is not a time zone; write one as in Europe/Berlin")))?,
        };
        let now = Zoned::now().with_time_zone(zone);
        let mut parsed = store::read(self.q.as_deref().unwrap_or_default(), &now)?;
        let window_in_text = parsed.query.since.is_some() || parsed.query.until.is_some();
        if !window_in_text {
            parsed.query.since = bound("since", self.since.as_deref(), End::Since, &now)?;
            parsed.query.until = bound("until", self.until.as_deref(), End::Until, &now)?;
            if let (Some(since), Some(until)) = (parsed.query.since, parsed.query.until)
                && since >= until
            {
                return Err(bad(format!("the window is empty: it ends at {until}, before it begins at {since}")));
            }
        }
        Ok(Asked { query: parsed.query.clone(), question: Question::new(parsed, window_in_text) })
    }

    pub(super) fn page(&self) -> Result<Page, Problem> {
        let after = match self.cursor.as_deref() {
            None | Some("") => None,
            Some(text) => {
                Some(read_cursor(text).ok_or_else(|| bad("this `cursor` is none that an answer's `next` gave"))?)
            }
        };
        Ok(Page { limit: number("limit", self.limit.as_deref(), 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT), after })
    }

    pub(super) fn buckets(&self) -> Result<usize, Problem> {
        Ok(number("buckets", self.buckets.as_deref(), 1..=BUCKETS.1)?.unwrap_or(BUCKETS.0))
    }

    pub(super) fn cut_bytes(&self) -> Result<Option<usize>, Problem> {
        number("cut", self.cut.as_deref(), CUT_BYTES_MIN..=usize::MAX)
    }
}

fn bound(name: &str, text: Option<&str>, end: End, now: &Zoned) -> Result<Option<jiff::Timestamp>, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let wrong =
        || bad(format!("`{name}={text}` is not a time; write 15m, 2d, today, 14:30, 2026-11-20 or 2026-11-20T14:30"));
    store::parse_time(text, end, now).map(Some).ok_or_else(wrong)
}

fn number(name: &str, text: Option<&str>, range: std::ops::RangeInclusive<usize>) -> Result<Option<usize>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let number = text.parse().ok().filter(|number| range.contains(number));
    let (from, to) = range.into_inner();
    let wrong = || bad(format!("`{name}={text}` is not a number from {from} to {to}"));
    number.map(Some).ok_or_else(wrong)
}

fn bad(message: impl Into<String>) -> Problem {
    Problem::new(Code::BadRequest, message)
}
