//! What the program says of its work while it works: to stderr, quiet by default, one line an event.
//!
//! It promises that no event can stop the program: not one that comes a million times, which is held back and counted,
//! and not a log that can't be written, which is then missing.

mod line;
mod repeats;
mod tally;

use std::{
    io::{self, IsTerminal},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use tracing::{Event, Level, Subscriber, error, info, warn};
use tracing_subscriber::{
    EnvFilter, Layer, fmt,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

use self::{
    line::OneLine,
    repeats::{HeldBack, Likeness, Repeats},
    tally::Tally,
};
use super::arguments::{Arguments, Command, LogFormat};

/// What all events go through, from [`install`] on.
static GATE: OnceLock<Gate> = OnceLock::new();

/// Sets up logging. `LOGDRIVE_LOG` overrides what is logged, in the words of tracing's filter directives.
pub(super) fn install(arguments: &Arguments) {
    let filter = std::env::var("LOGDRIVE_LOG").ok().and_then(|text| EnvFilter::try_new(text).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(directives(arguments)));
    let is_terminal = io::stderr().is_terminal();
    let colour = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let gate = GATE.get_or_init(|| Gate::new(arguments.log_repeats_max));
    let gated = tracing_subscriber::registry().with(filter).with(gate);
    // An event that can't be written is lost; told of that, tracing would print to the same stderr, and panic.
    let lines = fmt::layer().log_internal_errors(false).with_writer(move || OneLine::to(io::stderr(), is_terminal));
    // Setting it a second time is the only thing that can fail, and this is the only place.
    let _ = match arguments.log_format {
        LogFormat::Text => gated.with(lines.with_ansi(colour).compact()).try_init(),
        LogFormat::Json => gated.with(lines.json().flatten_event(true).with_current_span(false)).try_init(),
    };
}

/// Tells of what was held back and is not repeated any more, and brings the metrics up to date. To be called every few
/// seconds, once there are metrics.
pub(super) fn upkeep() {
    if let Some(gate) = GATE.get() {
        gate.tell_ended(Instant::now());
        gate.tally.publish();
    }
}

/// Tells of everything that was held back; nothing is logged any more.
pub(super) fn finish() {
    if let Some(gate) = GATE.get() {
        gate.tell_all();
    }
}

fn tell(held: &HeldBack) {
    let HeldBack { count, level, target, message } = held;
    let what = "an event came again and again, and was held back";
    match *level {
        Level::ERROR => error!(count, at = target, event = message, "{what}"),
        Level::WARN => warn!(count, at = target, event = message, "{what}"),
        _ => info!(count, at = target, event = message, "{what}"),
    }
}

/// Our own events from `info` on, those of others from `warn` on; a command that prints an answer and ends says less.
fn directives(arguments: &Arguments) -> &'static str {
    let answers = matches!(
        arguments.command,
        Command::Search(_) | Command::Check(_) | Command::Test(_) | Command::Checkpoints(_) | Command::Top(_)
    );
    match arguments.verbose {
        0 if answers => "error",
        0 => "warn,logdrive=info",
        1 => "warn,logdrive=debug",
        _ => "debug,logdrive=trace",
    }
}

/// Counts events, and holds back those that come too often.
struct Gate {
    repeats: Mutex<Repeats>,
    tally: Tally,
}

impl Gate {
    fn new(repeats_max: u32) -> Self {
        Self { repeats: Mutex::new(Repeats::new(repeats_max)), tally: Tally::default() }
    }

    /// What is known of repeats is whole between any two statements. Nothing is written while it is locked.
    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of what was held back in minutes that are over.
    fn tell_ended(&self, now: Instant) {
        // By itself, for what is told is an event too and takes the lock.
        let ended = self.repeats().ended(now);
        ended.iter().for_each(tell);
    }

    /// Tells of all that was held back.
    fn tell_all(&self) {
        let all = self.repeats().all();
        all.iter().for_each(tell);
    }

    fn lets_through(&self, event: &Event<'_>) -> bool {
        let level = *event.metadata().level();
        self.tally.saw(level);
        // Who asks for more than `info` wants all of it.
        if level > Level::INFO {
            return true;
        }
        let likeness = Likeness::of(event);
        let is_first = self.repeats().lets_through(&likeness, event.metadata(), Instant::now());
        if !is_first {
            self.tally.held_back();
        }
        is_first
    }
}

impl<S: Subscriber> Layer<S> for &'static Gate {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.lets_through(event)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
        time::Duration,
    };

    use tracing::{debug, error, info, warn};
    use tracing_subscriber::{fmt, layer::SubscriberExt};

    use super::{Gate, Instant, OneLine};

    /// What is written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(repeats_max: u32, work: impl FnOnce(&'static Gate)) -> String {
        let gate: &'static Gate = Box::leak(Box::new(Gate::new(repeats_max)));
        let written = Written::default();
        let writer = written.clone();
        let lines = fmt::layer().without_time().with_ansi(false).compact();
        let lines = lines.with_writer(move || OneLine::to(writer.clone(), false));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(gate).with(lines), || work(gate));
        let bytes = written.0.lock().expect("no panic").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn what_comes_again_and_again_is_held_back_and_told_once() {
        let text = logged(3, |gate| {
            for number in 0..100 {
                warn!(number, error = format!("failed after {number} ms"), "can't read");
            }
            warn!("something else");
            gate.tell_all();
        });
        assert_eq!(text.matches(": can't read ").count(), 3, "{text}");
        assert!(text.contains("something else"), "{text}");
        assert!(text.contains("was held back count=97 at=\"logdrive::cli::logging::tests\""), "{text}");
        assert!(text.contains("event=\"can't read\""), "{text}");
        assert_eq!(text.lines().count(), 5, "{text}");
    }

    #[test]
    fn what_was_held_back_is_told_when_its_minute_is_over_and_logging_goes_on() {
        let text = logged(1, |gate| {
            (0..3).for_each(|_| warn!("can't read"));
            gate.tell_ended(Instant::now());
            info!("a minute passes");
            gate.tell_ended(Instant::now() + Duration::from_secs(61));
            warn!("can't read");
        });
        let held = text.find("was held back count=2").expect(&text);
        assert!(text.find("a minute passes").expect(&text) < held, "{text}");
        assert_eq!(text.matches(": can't read").count(), 2, "{text}");
    }

    #[test]
    fn what_differs_in_what_matters_is_not_the_same() {
        let text = logged(1, |_| {
            for path in ["/a/1.log", "/a/2.log", "/a/1.log"] {
                warn!(path, "can't read");
                error!(path, "can't read");
                info!(path, "can't read");
            }
        });
        assert_eq!(text.lines().count(), 6, "{text}");
    }

    #[test]
    fn who_asks_for_all_gets_all() {
        assert_eq!(logged(1, |_| (0..50).for_each(|_| debug!("again"))).lines().count(), 50);
        assert_eq!(logged(0, |_| (0..50).for_each(|_| info!("again"))).lines().count(), 50);
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let text = logged(10, |_| info!(path = "/a\n ERROR forged", "first\nsecond"));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(r"first\nsecond"), "{text}");
    }
}
