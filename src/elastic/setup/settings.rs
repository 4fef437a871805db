//! What `logdrive setup elasticsearch` installs, as it stands under `[elasticsearch.setup]`.

use std::{fmt, str::FromStr};

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, de};

/// How indices grow, are copied, and go.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether a lifecycle policy is installed. Off for servers that have no ILM (or, of OpenSearch, no index state
    /// management), or where someone else sees to it.
    pub lifecycle: bool,
    /// Indices are deleted when they are this old, counted from their rollover if they are rolled over, else from
    /// when they were made; without it nothing is deleted.
    pub retention: Option<Age>,
    /// A data stream goes on in a new index when the last one is this old. Indices named by date have their own ends.
    pub rollover_age: Age,
    /// A data stream goes on in a new index when a shard of the last one is this large.
    pub rollover_bytes: ByteSize,
    /// How many copies of each shard there are besides the first; without it one, if there is a second node.
    pub replicas: Option<u16>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lifecycle: true,
            retention: None,
            rollover_age: Age("7d".to_owned()),
            rollover_bytes: ByteSize::gib(50),
            replicas: None,
        }
    }
}

/// A stretch of time as the servers write it: a whole number of days, hours or minutes, more than 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Age(String);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let count = text.strip_suffix(['d', 'h', 'm']).and_then(|count| count.parse::<u32>().ok());
        match count {
            Some(1..) => Ok(Self(text.to_owned())),
            _ => {
                Err(format!("{text:?} is no age; write a number of days, hours or minutes, such as \"30d\" or \"12h\""))
            }
        }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Age;

    #[test]
    fn an_age_is_a_whole_number_of_days_hours_or_minutes() {
        for right in ["30d", "12h", "90m", " 1d "] {
            assert_eq!(right.parse::<Age>().map(|age| age.to_string()), Ok(right.trim().to_owned()));
        }
        for wrong in ["", "d", "0d", "30", "30 d", "1.5h", "-1d", "30s", "1d12h", "99999999999d"] {
            assert!(wrong.parse::<Age>().is_err(), "{wrong}");
        }
    }
}
