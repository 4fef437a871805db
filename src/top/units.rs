//! Numbers for a person: three digits and a unit.

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// It is none.
    Text,
    /// Things, or things a second.
    Count,
    /// Bytes, or bytes a second.
    Bytes,
    /// A stretch of time, in seconds.
    Seconds,
    /// A share of one.
    Share,
}

/// The number as it is shown.
pub(super) fn text(number: f64, unit: Unit) -> String {
    // Nothing, summed up, is -0.
    let number = number + 0.0;
    match unit {
        Unit::Text | Unit::Count => count(number),
        Unit::Bytes => bytes(number),
        Unit::Seconds => seconds(number),
        Unit::Share => format!("{:.0}%", number * 100.0),
    }
}

/// Three digits, or as many as stand before the point.
fn digits(number: f64) -> String {
    match number.abs() {
        0.0..9.95 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

fn count(number: f64) -> String {
    let (scaled, suffix) = scaled(number, 1000.0, &["", "k", "M", "G", "T"]);
    match suffix {
        "" if scaled.fract() == 0.0 => format!("{scaled:.0}"),
        _ => format!("{}{suffix}", digits(scaled)),
    }
}

fn bytes(number: f64) -> String {
    let (scaled, suffix) = scaled(number, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"]);
    if suffix == "B" { format!("{scaled:.0} B") } else { format!("{} {suffix}", digits(scaled)) }
}

fn seconds(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        ..0.0095 => format!("{:.1} ms", number * 1e3),
        ..0.9995 => format!("{:.0} ms", number * 1e3),
        ..120.0 => format!("{} s", digits(number)),
        ..7200.0 => format!("{:.0} min", number / 60.0),
        ..172_800.0 => format!("{:.0} h", number / 3600.0),
        _ => format!("{:.0} d", number / 86_400.0),
    }
}

/// The number in the largest unit of which it has at least one, as it is rounded.
fn scaled<'a>(mut number: f64, step: f64, suffixes: &[&'a str]) -> (f64, &'a str) {
    let mut suffixes = suffixes.iter();
    let mut suffix = suffixes.next().copied().unwrap_or("");
    for next in suffixes {
        if number.abs().round() < step {
            break;
        }
        (number, suffix) = (number / step, next);
    }
    (number, suffix)
}

#[cfg(test)]
mod tests {
    use super::{Unit, text};

    #[test]
    fn numbers_are_short_and_have_their_unit() {
        let counts = [-0.0, 7.0, 0.25, 999.0, 999.9, 1500.0, 123_456.0, 5e6].map(|number| text(number, Unit::Count));
        assert_eq!(counts, ["0", "7", "0.2", "999", "1.0k", "1.5k", "123k", "5.0M"]);
        let bytes = [0.0, 1023.0, 1024.0, 1_073_741_824.0, 1.5e12].map(|number| text(number, Unit::Bytes));
        assert_eq!(bytes, ["0 B", "1023 B", "1.0 KiB", "1.0 GiB", "1.4 TiB"]);
        let seconds = [0.0, 0.0012, 0.25, 3.21, 90.0, 600.0, 9000.0, 2e6].map(|number| text(number, Unit::Seconds));
        assert_eq!(seconds, ["0", "1.2 ms", "250 ms", "3.2 s", "90 s", "10 min", "2 h", "23 d"]);
        assert_eq!(text(0.256, Unit::Share), "26%");
    }
}
