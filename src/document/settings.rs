//! What can be set about documents.

use bytesize::ByteSize;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::Rule;

/// How documents are made.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The zone of times in lines that don't say theirs, as in `Europe/Berlin`; by default that of this machine.
    #[serde(with = "jiff::fmt::serde::tz::required")]
    pub time_zone: TimeZone,
    /// A JSON line longer than this is kept as text.
    pub json_bytes_max: ByteSize,
    /// Of a JSON line with more members than this, those of nested objects included, only so many become fields.
    /// Elasticsearch allows 1000 fields in all in an index by default (`index.mapping.total_fields.limit`).
    pub json_fields_max: usize,
    /// What is nested deeper than this in a JSON line becomes no field: objects, arrays and dots in names count. 1 is
    /// an object without objects. Elasticsearch allows 20 by default (`index.mapping.depth.limit`).
    pub json_depth_max: usize,
    /// A member with a name longer than this becomes no field.
    pub json_name_bytes_max: ByteSize,
    /// A string longer than this, other than the message, is cut. By default the longest term that Elasticsearch can
    /// index.
    pub json_string_bytes_max: ByteSize,
    /// What holds only for some tasks or topics. The first rule that fits counts.
    pub rules: Vec<Rule>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            time_zone: TimeZone::system(),
            json_bytes_max: ByteSize::mib(2),
            json_fields_max: 1000,
            json_depth_max: 20,
            json_name_bytes_max: ByteSize::b(512),
            json_string_bytes_max: ByteSize::b(32_766),
            rules: Vec::new(),
        }
    }
}
