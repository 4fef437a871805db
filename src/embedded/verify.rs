//! The part of a question that an index can't answer, answered from the stored documents.

use std::sync::{Arc, OnceLock};

use tantivy::{
    DocId, SegmentReader, TantivyDocument,
    query::{
        EnableScoring, Query,
        doc_predicate_query::{ConstOrVariableSegmentPredicate, DocPredicate, DocPredicateQuery, SegmentDocPredicate},
    },
    schema::{Field, Value},
    store::StoreReader,
};

use crate::store;

/// Where an error is left that a search has no other way to return; the first one counts.
pub(super) type Failure = Arc<OnceLock<String>>;

/// How many blocks of stored documents are kept unpacked; documents are looked at in their order.
const BLOCKS_CACHED: usize = 2;

/// Those of `candidates`, a superset of the answer, for which `expr` holds.
pub(super) fn verify(
    expr: store::Expr,
    candidates: Box<dyn Query>,
    source: Field,
    failure: &Failure,
) -> Box<dyn Query> {
    let query = store::Query { expr, since: None, until: None };
    Box::new(DocPredicateQuery::from(Verify {
        query: Arc::new(query),
        candidates,
        source,
        failure: Arc::clone(failure),
    }))
}

#[derive(Debug)]
struct Verify {
    query: Arc<store::Query>,
    candidates: Box<dyn Query>,
    source: Field,
    failure: Failure,
}

struct SegmentVerify {
    query: Arc<store::Query>,
    documents: StoreReader,
    source: Field,
    failure: Failure,
}

impl DocPredicate for Verify {
    type SegmentDocPredicate = SegmentVerify;

    fn doc_predicate(
        &self,
        segment: &SegmentReader,
    ) -> tantivy::Result<ConstOrVariableSegmentPredicate<SegmentVerify>> {
        let weight = self.candidates.weight(EnableScoring::disabled_from_schema(segment.schema()))?;
        Ok(ConstOrVariableSegmentPredicate::Variable {
            necessary_condition: Box::new(weight.scorer(segment, 1.0)?),
            predicate: SegmentVerify {
                query: Arc::clone(&self.query),
                documents: segment.get_store_reader(BLOCKS_CACHED)?,
                source: self.source,
                failure: Arc::clone(&self.failure),
            },
        })
    }
}

impl SegmentDocPredicate for SegmentVerify {
    fn eval(&mut self, doc: DocId) -> bool {
        self.holds(doc).unwrap_or_else(|error| {
            // Only the first error is kept, which is what `set` does.
            let _ = self.failure.set(error);
            false
        })
    }

    fn cost(&self) -> u64 {
        // Unpacking and parsing a document, next to a step in a list of numbers.
        1_000
    }
}

impl SegmentVerify {
    fn holds(&self, doc: DocId) -> Result<bool, String> {
        let document: TantivyDocument = self.documents.get(doc).map_err(|error| error.to_string())?;
        let source = source(&document, self.source)?;
        Ok(store::matches(&self.query, &source))
    }
}

/// The document as it was built.
pub(super) fn source(
    document: &TantivyDocument,
    source: Field,
) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    let json = document.get_first(source).and_then(|value| value.as_bytes()).ok_or("a document has no source")?;
    serde_json::from_slice(json).map_err(|error| format!("a stored document is not JSON: {error}"))
}
