//! What was wrong with a line, as a set of tags.

/// A set of tags; empty for nearly every line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags(u16);

impl Tags {
    /// No tag.
    pub const NONE: Tags = Tags(0);
    /// `invalid_utf8`: what was no text (bytes that mean nothing in the line's charset, or a lone surrogate in a JSON
    /// string) became U+FFFD.
    pub const INVALID_UTF8: Tags = Tags(1);
    /// `json_broken`: the line begins like a JSON object and is none; kept as text.
    pub const JSON_BROKEN: Tags = Tags(2);
    /// `json_unfit`: the line is JSON, but longer than the limit or nested beyond what can be read; kept as text.
    pub const JSON_UNFIT: Tags = Tags(4);
    /// `json_duplicate`: a name occurs twice in one object; the last value counts.
    pub const JSON_DUPLICATE: Tags = Tags(8);
    /// `container_broken`: the line is not as the container runtime writes lines; kept as it stood.
    pub const CONTAINER_BROKEN: Tags = Tags(16);
    /// `json_depth`: members that are nested too deeply are left out.
    pub const JSON_DEPTH: Tags = Tags(32);
    /// `json_fields`: there are too many members; those beyond the limit are left out.
    pub const JSON_FIELDS: Tags = Tags(64);
    /// `json_name`: members are left out whose names no store takes, or that are too long.
    pub const JSON_NAME: Tags = Tags(128);
    /// `json_string`: a string was too long and has lost its end.
    pub const JSON_STRING: Tags = Tags(256);

    /// Those that say that something of the line is not where it would be; then the document has the whole line.
    pub const LEFT_OUT: Tags = Tags(
        Self::JSON_DUPLICATE.0 | Self::JSON_DEPTH.0 | Self::JSON_FIELDS.0 | Self::JSON_NAME.0 | Self::JSON_STRING.0,
    );

    /// Every tag with its name.
    pub const ALL: [(Tags, &'static str); 9] = [
        (Self::INVALID_UTF8, "invalid_utf8"),
        (Self::JSON_BROKEN, "json_broken"),
        (Self::JSON_UNFIT, "json_unfit"),
        (Self::JSON_DUPLICATE, "json_duplicate"),
        (Self::CONTAINER_BROKEN, "container_broken"),
        (Self::JSON_DEPTH, "json_depth"),
        (Self::JSON_FIELDS, "json_fields"),
        (Self::JSON_NAME, "json_name"),
        (Self::JSON_STRING, "json_string"),
    ];

    /// Adds `tags` to the set.
    pub fn add(&mut self, tags: Tags) {
        self.0 |= tags.0;
    }

    /// Whether all of `tags` are in the set.
    #[must_use]
    pub fn has(self, tags: Tags) -> bool {
        self.0 & tags.0 == tags.0
    }

    /// Whether any of `tags` is in the set.
    #[must_use]
    pub fn has_any(self, tags: Tags) -> bool {
        self.0 & tags.0 != 0
    }

    /// The names of the tags in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().filter(move |(tag, _)| self.has(*tag)).map(|(_, name)| name)
    }
}
