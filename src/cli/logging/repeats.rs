//! Which events are the same, and how often the same may come in a minute.

use std::{
    collections::HashMap,
    fmt::{self, Write},
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use tracing::{
    Event, Level, Metadata,
    field::{Field, Visit},
};

/// How long an event is remembered.
const MINUTE: Duration = Duration::from_secs(60);

/// How many different events are told apart at a time. When there are more, those of one place in the code are the same.
const DIFFERENT_MAX: usize = 1000;

/// So much of a message is kept, to be told later.
const MESSAGE_CHARS_MAX: usize = 200;

/// Fields in which numbers make no difference: how long something took, or which attempt it was.
const WORDS: [&str; 5] = ["message", "error", "why", "reason", "cause"];

/// What an event is the same by: the place in the code, its words without their numbers, and the text of its other fields.
/// Fields that are numbers make no difference.
pub(super) struct Likeness {
    /// Of the place alone.
    place: u64,
    hash: u64,
    message: String,
}

impl Likeness {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let mut hasher = DefaultHasher::new();
        event.metadata().callsite().hash(&mut hasher);
        let place = hasher.finish();
        let mut fields = Fields { hasher, message: String::new() };
        event.record(&mut fields);
        Self { place, hash: fields.hasher.finish(), message: fields.message }
    }
}

/// What was held back of an event.
#[derive(Debug, PartialEq)]
pub(super) struct HeldBack {
    pub(super) count: u64,
    pub(super) level: Level,
    pub(super) target: &'static str,
    pub(super) message: String,
}

/// What came in the last minute.
pub(super) struct Repeats {
    /// How often an event may come in a minute; 0 means any number of times.
    max: u32,
    windows: HashMap<u64, Window>,
    /// Minutes that are over, and not told yet; at most one for each that is remembered.
    over: Vec<HeldBack>,
}

/// An event, since it first came.
struct Window {
    began: Instant,
    count: u64,
    held: HeldBack,
}

impl Repeats {
    pub(super) fn new(max: u32) -> Self {
        Self { max, windows: HashMap::new(), over: Vec::new() }
    }

    /// Whether an event is written; else it is held back, and counted.
    pub(super) fn lets_through(
        &mut self,
        likeness: &Likeness,
        metadata: &'static Metadata<'static>,
        now: Instant,
    ) -> bool {
        if self.max == 0 {
            return true;
        }
        let mut key = likeness.hash;
        if self.windows.len() >= DIFFERENT_MAX && !self.windows.contains_key(&key) {
            self.close(now);
            if self.windows.len() >= DIFFERENT_MAX {
                // The places are as many as the code has: this, too, has an end.
                key = likeness.place;
            }
        }
        let max = u64::from(self.max);
        let begin = || Window {
            began: now,
            count: 0,
            held: HeldBack {
                count: 0,
                level: *metadata.level(),
                target: metadata.target(),
                message: likeness.message.clone(),
            },
        };
        let window = self.windows.entry(key).or_insert_with(begin);
        if now.duration_since(window.began) >= MINUTE {
            let over = std::mem::replace(window, begin());
            self.over.extend(over.ended(max));
            self.over.truncate(DIFFERENT_MAX);
        }
        let window = self.windows.entry(key).or_insert_with(begin);
        window.count += 1;
        window.count <= max
    }

    /// What was held back in minutes that are over now; it is forgotten.
    pub(super) fn ended(&mut self, now: Instant) -> Vec<HeldBack> {
        self.close(now);
        std::mem::take(&mut self.over)
    }

    /// What was held back at all; it is forgotten.
    pub(super) fn all(&mut self) -> Vec<HeldBack> {
        let max = u64::from(self.max);
        let open = std::mem::take(&mut self.windows);
        self.over.extend(open.into_values().filter_map(|window| window.ended(max)));
        std::mem::take(&mut self.over)
    }

    fn close(&mut self, now: Instant) {
        let max = u64::from(self.max);
        let closed = self.windows.extract_if(|_, window| now.duration_since(window.began) >= MINUTE);
        self.over.extend(closed.filter_map(|(_, window)| window.ended(max)));
        self.over.truncate(DIFFERENT_MAX);
    }
}

impl Window {
    /// None if nothing was held back.
    fn ended(self, max: u64) -> Option<HeldBack> {
        let count = self.count.checked_sub(max).filter(|count| *count > 0)?;
        Some(HeldBack { count, ..self.held })
    }
}

/// Takes in an event's fields.
struct Fields {
    hasher: DefaultHasher,
    message: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        field.name().hash(&mut self.hasher);
        let is_words = WORDS.contains(&field.name());
        let message = (field.name() == "message").then_some(&mut self.message);
        // Hashing can't fail.
        let _ = write!(Taken { hasher: &mut self.hasher, is_words, message }, "{value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_u64(&mut self, _: &Field, _: u64) {}
    fn record_i64(&mut self, _: &Field, _: i64) {}
    fn record_u128(&mut self, _: &Field, _: u128) {}
    fn record_i128(&mut self, _: &Field, _: i128) {}
    fn record_f64(&mut self, _: &Field, _: f64) {}
    fn record_bool(&mut self, _: &Field, _: bool) {}
}

/// Text on its way into the hash, piece by piece.
struct Taken<'a> {
    hasher: &'a mut DefaultHasher,
    is_words: bool,
    message: Option<&'a mut String>,
}

impl Write for Taken<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        for byte in piece.bytes().filter(|byte| !(self.is_words && byte.is_ascii_digit())) {
            self.hasher.write_u8(byte);
        }
        if let Some(message) = &mut self.message {
            let room = MESSAGE_CHARS_MAX.saturating_sub(message.chars().count());
            message.extend(piece.chars().take(room));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tracing::{Callsite, Level, Metadata, callsite::DefaultCallsite, metadata::Kind};

    use super::{DIFFERENT_MAX, Likeness, MINUTE, Repeats};

    fn event() -> &'static Metadata<'static> {
        static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
        static METADATA: Metadata<'static> = tracing::metadata! {
            name: "event",
            target: "target",
            level: Level::WARN,
            fields: &["message"],
            callsite: &CALLSITE,
            kind: Kind::EVENT,
        };
        CALLSITE.metadata()
    }

    fn like(hash: u64) -> Likeness {
        Likeness { place: u64::MAX, hash, message: format!("event {hash}") }
    }

    #[test]
    fn after_a_minute_it_is_told_how_many_were_held_back_and_the_next_comes_through() {
        let (mut repeats, begin) = (Repeats::new(10), Instant::now());
        let passed = (0..100).filter(|_| repeats.lets_through(&like(1), event(), begin)).count();
        assert_eq!(passed, 10);
        assert!(repeats.ended(begin + MINUTE / 2).is_empty(), "it may come again");
        assert!(repeats.lets_through(&like(1), event(), begin + MINUTE), "another minute");
        let ended = repeats.ended(begin + MINUTE);
        assert_eq!(ended.iter().map(|held| (held.count, held.message.as_str())).collect::<Vec<_>>(), [(90, "event 1")]);
        assert!(repeats.ended(begin + MINUTE * 3).is_empty(), "one is no repetition, and it is forgotten");
        assert!(repeats.windows.is_empty());
    }

    #[test]
    fn however_many_different_events_come_few_are_remembered_and_one_place_has_its_limit() {
        let (mut repeats, begin) = (Repeats::new(10), Instant::now());
        let events = 100_000;
        let passed = (0..events).filter(|hash| repeats.lets_through(&like(*hash), event(), begin)).count();
        assert_eq!(passed, DIFFERENT_MAX + 10);
        assert!(repeats.windows.len() <= DIFFERENT_MAX + 1);
        let held: u64 = repeats.all().iter().map(|held| held.count).sum();
        assert_eq!(held, events - passed as u64, "each is counted");
        let later = begin + MINUTE + Duration::from_secs(1);
        assert!(repeats.lets_through(&like(events), event(), later), "there is room again");
    }
}
