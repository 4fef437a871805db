//! The fields of the index.

use tantivy::{
    Index,
    schema::{
        BytesOptions, Field, IndexRecordOption, JsonObjectOptions, NumericOptions, Schema, TextFieldIndexing,
        TextOptions,
    },
    tokenizer::TextAnalyzer,
};

use super::tokenizer::Words;

/// The format of the store. A store of another format is set aside, so it changes only when it must.
pub(super) const FORMAT: u32 = 1;

const WORDS: &str = "words";
const RAW: &str = "raw";

/// Handles of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    /// The document's id; stored.
    pub id: Field,
    /// The document as it was built, JSON; stored.
    pub source: Field,
    /// `@timestamp` in nanoseconds since 1970; a column.
    pub time: Field,
    /// `log.file.path` as it stands, for the order of hits; a column.
    pub path: Field,
    /// `log.offset`; a column.
    pub offset: Field,
    /// `log.level` as the ordinal of [`Level`](crate::record::Level); a column, for documents that have one.
    pub level: Field,
    /// The words of `message` with their positions.
    pub message: Field,
    /// All other members, as [`term`](super::term) says.
    pub members: Field,
    /// All numbers, in a column for each name.
    pub numbers: Field,
}

/// The names of the columns.
pub(super) const TIME: &str = "time";
pub(super) const PATH: &str = "path";
pub(super) const OFFSET: &str = "offset";
pub(super) const LEVEL: &str = "level";

/// The schema and its fields.
pub(super) fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let column = || NumericOptions::default().set_fast();
    let indexed = |tokenizer: &str, option| {
        let indexing = TextFieldIndexing::default().set_tokenizer(tokenizer).set_fieldnorms(false);
        TextOptions::default().set_indexing_options(indexing.set_index_option(option))
    };
    let fields = Fields {
        id: schema.add_text_field("id", TextOptions::default().set_stored()),
        source: schema.add_bytes_field("source", BytesOptions::default().set_stored()),
        time: schema.add_i64_field(TIME, column()),
        path: schema.add_text_field(PATH, TextOptions::default().set_fast(RAW)),
        offset: schema.add_u64_field(OFFSET, column()),
        level: schema.add_u64_field(LEVEL, column()),
        message: schema.add_text_field("message", indexed(WORDS, IndexRecordOption::WithFreqsAndPositions)),
        members: schema.add_text_field("members", indexed(RAW, IndexRecordOption::Basic)),
        numbers: schema.add_json_field("numbers", JsonObjectOptions::default().set_fast(RAW).set_expand_dots_enabled()),
    };
    (schema.build(), fields)
}

/// Makes the tokenizers known to an index, which has only their names on disk.
pub(super) fn register_tokenizers(index: &Index) {
    index.tokenizers().register(WORDS, TextAnalyzer::from(Words::default()));
}
