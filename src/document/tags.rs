//! What was wrong with a line, as a set of tags.

/// A set of tags; empty for nearly every line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags(u8);

impl Tags {
    /// No tag.
    pub const NONE: Tags = Tags(0);
    /// `invalid_utf8`: what was no text (bytes that mean nothing in the line's charset, or a lone surrogate in a JSON
    /// string) became U+FFFD.
    pub const INVALID_UTF8: Tags = Tags(1);
    /// `json_broken`: the line begins like a JSON object and is none; kept as text.
    pub const JSON_BROKEN: Tags = Tags(2);
    /// `json_unfit`: the line is JSON beyond the limits, or has a name that no store takes; kept as text.
    pub const JSON_UNFIT: Tags = Tags(4);
    /// `json_duplicate`: a name occurs twice in one object; the last value counts, and the whole line is in
    /// `logdrive.original`.
    pub const JSON_DUPLICATE: Tags = Tags(8);

    /// `container_broken`: the line is not as the container runtime writes lines; kept as it stood.
    pub const CONTAINER_BROKEN: Tags = Tags(16);

    /// Every tag with its name.
    pub const ALL: [(Tags, &'static str); 5] = [
        (Self::INVALID_UTF8, "invalid_utf8"),
        (Self::JSON_BROKEN, "json_broken"),
        (Self::JSON_UNFIT, "json_unfit"),
        (Self::JSON_DUPLICATE, "json_duplicate"),
        (Self::CONTAINER_BROKEN, "container_broken"),
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

    /// The names of the tags in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().filter(move |(tag, _)| self.has(*tag)).map(|(_, name)| name)
    }
}
