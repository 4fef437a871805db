//! A rate as people write it: `"10MiB/s"`.

use std::{fmt, str::FromStr};

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, de};

/// Bytes a second; more than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(u64);

impl Rate {
    /// The rate in bytes a second.
    #[must_use]
    pub fn bytes_per_second(self) -> u64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || format!("{text:?} is no rate; write a size and \"/s\", such as \"10MiB/s\"");
        let size = text.trim().strip_suffix("/s").ok_or_else(fault)?;
        let bytes = size.trim().parse::<ByteSize>().map_err(|_| fault())?.as_u64();
        if bytes == 0 {
            Err(format!("{text:?} would read nothing; leave it out for no limit"))
        } else {
            Ok(Self(bytes))
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", ByteSize(self.0))
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;

    #[test]
    fn a_rate_is_a_size_a_second_and_never_none() {
        assert_eq!("10MiB/s".parse(), Ok(Rate(10 << 20)));
        assert_eq!(" 500 kB/s ".parse(), Ok(Rate(500_000)));
        for wrong in ["10MiB", "/s", "fast/s", "10MiB/m", "0B/s"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }
}
