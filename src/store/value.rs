//! What a field's value asks for: presence, a pattern, a comparison, a range, or just this value.

use std::net::Ipv4Addr;

use super::query::{Compare, Scalar, Test};
use crate::record::Level;

/// Why a value can't be asked for; the second is a value that could, if there is one.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal(pub(super) String, pub(super) Option<String>);

/// Reads a value that stands without quotes behind `field:`.
pub(super) fn read(field: &str, value: &str) -> Result<Test, Refusal> {
    if value == "*" {
        return Ok(Test::Exists);
    }
    if let Some((compare, operand)) = comparison(value)
        && let Some(test) = compare_test(field, compare, operand)?
    {
        return Ok(test);
    }
    if value.contains('*') {
        return Ok(Test::Glob(value.to_owned()));
    }
    if field == "log.level"
        && let Some(level) = Level::parse(value.as_bytes())
    {
        return Ok(Test::Level(Compare::Eq, level));
    }
    if let Some((low, high)) = class(value) {
        return Ok(Test::Range(Scalar::Number(low), Scalar::Number(high)));
    }
    if let Some(range) = range(value)? {
        return Ok(range);
    }
    match network(value)? {
        Some(test) => Ok(test),
        None => Ok(Test::Is(value.to_owned())),
    }
}

/// The level whose name is most like `word`, if one is like it at all.
pub(super) fn nearest_level(word: &str) -> Option<Level> {
    let near = |level: &Level| strsim::damerau_levenshtein(&word.to_lowercase(), level.name());
    Level::ALL.into_iter().min_by_key(near).filter(|level| near(level) <= 2)
}

fn comparison(value: &str) -> Option<(Compare, &str)> {
    const SIGNS: [(&str, Compare); 5] =
        [(">=", Compare::Ge), ("<=", Compare::Le), (">", Compare::Gt), ("<", Compare::Lt), ("=", Compare::Eq)];
    SIGNS.iter().find_map(|(sign, compare)| value.strip_prefix(sign).map(|operand| (*compare, operand)))
}

fn compare_test(field: &str, compare: Compare, operand: &str) -> Result<Option<Test>, Refusal> {
    if field == "log.level" {
        let Some(level) = Level::parse(operand.as_bytes()) else {
            let names = Level::ALL.map(Level::name).join(" < ");
            let sign = sign(compare);
            let near = nearest_level(operand).map(|level| format!("{sign}{level}"));
            return Err(Refusal(format!("`{operand}` is not a level; levels are {names}"), near));
        };
        return Ok(Some(Test::Level(compare, level)));
    }
    Ok(scalar(operand).map(|scalar| Test::Compare(compare, scalar)))
}

/// How a comparison is written.
pub(super) fn sign(compare: Compare) -> &'static str {
    match compare {
        Compare::Eq => "=",
        Compare::Lt => "<",
        Compare::Le => "<=",
        Compare::Gt => ">",
        Compare::Ge => ">=",
    }
}

/// `5xx` is 500 to 599, `50x` is 500 to 509.
fn class(value: &str) -> Option<(f64, f64)> {
    let digits = value.trim_end_matches('x');
    let numeric = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if value.len() != 3 || digits.is_empty() || digits.len() == 3 || !numeric {
        return None;
    }
    Some((value.replace('x', "0").parse().ok()?, value.replace('x', "9").parse().ok()?))
}

fn range(value: &str) -> Result<Option<Test>, Refusal> {
    let Some((low, high)) = value.split_once("..") else { return Ok(None) };
    let (Some(from), Some(to)) = (scalar(low), scalar(high)) else { return Ok(None) };
    match (&from, &to) {
        (Scalar::Number(a), Scalar::Number(b)) if a > b => {
            Err(Refusal(format!("nothing is between {low} and {high}"), Some(format!("{high}..{low}"))))
        }
        (Scalar::Number(_), Scalar::Number(_)) | (Scalar::Word(_), Scalar::Word(_)) => Ok(Some(Test::Range(from, to))),
        _ => Ok(None),
    }
}

/// A network of IPv4 addresses, as the pattern that its addresses fit.
fn network(value: &str) -> Result<Option<Test>, Refusal> {
    let Some((address, bits)) = value.split_once('/') else { return Ok(None) };
    let (Ok(address), Ok(bits)) = (address.parse::<Ipv4Addr>(), bits.parse::<u8>()) else { return Ok(None) };
    let [a, b, c, _] = address.octets();
    match bits {
        8 => Ok(Some(Test::Glob(format!("{a}.*")))),
        16 => Ok(Some(Test::Glob(format!("{a}.{b}.*")))),
        24 => Ok(Some(Test::Glob(format!("{a}.{b}.{c}.*")))),
        32 => Ok(Some(Test::Is(address.to_string()))),
        _ => Err(Refusal(
            "only networks of /8, /16, /24 and /32 can be asked for".to_owned(),
            Some(format!("{address}/{}", (bits / 8 * 8).clamp(8, 32))),
        )),
    }
}

/// A number, with its unit resolved, or a word that starts with a digit, such as a date or a version.
fn scalar(text: &str) -> Option<Scalar> {
    if let Some(number) = number(text) {
        return Some(Scalar::Number(number));
    }
    let plain = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '+'));
    (plain && text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains(".."))
        .then(|| Scalar::Word(text.to_owned()))
}

/// A number with one of the units; durations in nanoseconds, sizes in bytes.
fn number(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 19] = [
        ("", 1.0),
        ("ns", 1.0),
        ("us", 1e3),
        ("µs", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
        ("m", 60e9),
        ("h", 3_600e9),
        ("d", 86_400e9),
        ("B", 1.0),
        ("kB", 1e3),
        ("KB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("TiB", 1_099_511_627_776.0),
    ];
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, unit) = text.split_at(text.len() - unsigned.len() + digits);
    let factor = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    number.parse::<f64>().ok().map(|number| number * factor).filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_resolved_to_nanoseconds_and_bytes() {
        for (text, number) in [
            ("500", 500.0),
            ("-1.5", -1.5),
            ("250ms", 250e6),
            ("2m", 120e9),
            ("1d", 86_400e9),
            ("64MiB", 67_108_864.0),
            ("3kB", 3_000.0),
        ] {
            assert_eq!(scalar(text), Some(Scalar::Number(number)), "{text}");
        }
        assert_eq!(scalar("1.2.3"), Some(Scalar::Word("1.2.3".to_owned())));
        assert_eq!(scalar("bob"), None);
        assert_eq!(scalar(""), None);
        assert_eq!(scalar("-"), None);
    }

    #[test]
    fn a_value_is_read_by_its_form() {
        let number = |n: i32| Scalar::Number(f64::from(n));
        for (value, test) in [
            ("*", Test::Exists),
            ("web-0*", Test::Glob("web-0*".to_owned())),
            ("5xx", Test::Range(number(500), number(599))),
            ("50x", Test::Range(number(500), number(509))),
            ("xxx", Test::Is("xxx".to_owned())),
            ("500..599", Test::Range(number(500), number(599))),
            ("../etc/passwd", Test::Is("../etc/passwd".to_owned())),
            ("/a/../b", Test::Is("/a/../b".to_owned())),
            (">=500", Test::Compare(Compare::Ge, number(500))),
            ("10.1.0.0/16", Test::Glob("10.1.*".to_owned())),
            ("500", Test::Is("500".to_owned())),
        ] {
            assert_eq!(read("f", value), Ok(test), "{value}");
        }
        assert_eq!(read("log.level", "ERR"), Ok(Test::Level(Compare::Eq, Level::Error)));
        assert_eq!(read("log.level", "<=W"), Ok(Test::Level(Compare::Le, Level::Warn)));
    }

    #[test]
    fn what_can_not_be_asked_for_is_refused_with_what_can() {
        assert_eq!(read("log.level", ">=wran").unwrap_err().1.as_deref(), Some(">=warn"));
        assert_eq!(read("f", "9..1").unwrap_err().1.as_deref(), Some("1..9"));
        assert_eq!(read("f", "10.1.0.0/20").unwrap_err().1.as_deref(), Some("10.1.0.0/16"));
    }
}
