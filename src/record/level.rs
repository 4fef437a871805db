//! The severity of a line, in one order, whatever it is called where it was written.

use std::fmt;

/// A severity, least severe first, so that `level >= Level::Warn` means what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// The finest detail.
    Trace,
    /// For those who look for a fault.
    Debug,
    /// Normal operation.
    Info,
    /// Normal, but worth a look.
    Notice,
    /// Not yet an error.
    Warn,
    /// Something failed.
    Error,
    /// Something failed that others depend on; syslog's critical, alert and emergency.
    Critical,
    /// The program ends.
    Fatal,
}

impl Level {
    /// All levels, least severe first.
    pub const ALL: [Level; 8] = [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Notice,
        Level::Warn,
        Level::Error,
        Level::Critical,
        Level::Fatal,
    ];

    /// The name that documents carry in `log.level`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Notice => "notice",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Critical => "critical",
            Level::Fatal => "fatal",
        }
    }

    /// Reads a level as people and libraries write it, in any case: `WARN`, `warning`, `W`, `err`, `emerg`, `INF`.
    /// Numbers are not levels here: what they mean depends on who wrote them.
    #[must_use]
    pub fn parse(word: &[u8]) -> Option<Level> {
        let mut lower = [0_u8; 13];
        let lower = lower.get_mut(..word.len())?;
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        Some(match &*lower {
            b"trace" | b"trc" | b"t" | b"finest" | b"finer" | b"verbose" => Level::Trace,
            b"debug" | b"dbg" | b"d" | b"fine" => Level::Debug,
            b"info" | b"inf" | b"i" | b"information" | b"informational" => Level::Info,
            b"notice" | b"n" => Level::Notice,
            b"warn" | b"warning" | b"wrn" | b"w" => Level::Warn,
            b"error" | b"err" | b"e" | b"severe" => Level::Error,
            b"critical" | b"crit" | b"c" | b"alert" | b"emerg" | b"emergency" => Level::Critical,
            b"fatal" | b"ftl" | b"f" | b"panic" => Level::Fatal,
            _ => return None,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn every_level_reads_back_from_its_name_and_they_are_in_order() {
        for pair in Level::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for level in Level::ALL {
            assert_eq!(Level::parse(level.name().to_uppercase().as_bytes()), Some(level));
        }
        assert_eq!(Level::parse(b"a word that is far too long"), None);
        assert_eq!(Level::parse(b""), None);
    }
}
