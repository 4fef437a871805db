//! Reads the answer to a bulk request: which items are done, which have to wait, which are refused.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::super::error::{cut, is_temporary};

/// The status that says "slower".
const TOO_MANY_REQUESTS: u16 = 429;

/// What became of the items of a body. Those that were created, mostly all, take no room.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcomes {
    /// How many items the body had.
    pub items: usize,
    /// The items that were not created, in order, each with what became of it.
    pub others: Vec<(usize, Outcome)>,
}

/// What became of an item that was not created.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was there already: it is done.
    Duplicate,
    /// Not now. The document is not at fault: the servers are overloaded, a disk is full, an index is closed or
    /// missing, a privilege is lacking. To be sent again.
    Again(Box<Reason>),
    /// It came with a field that others made with another type at the same moment. Sent again, it is measured by what the
    /// field is by then: taken, mostly, or refused for good.
    Raced(Box<Reason>),
    /// This document will never be taken.
    Refused(Box<Reason>),
    /// Nothing is known of it, for the request failed. To be sent again.
    Untold,
}

/// What a server said of an item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason {
    /// The item's HTTP status.
    pub status: u16,
    /// The server's name for the error, such as `document_parsing_exception`; empty if it gave none.
    pub kind: String,
    /// In words, at most 1 KiB of them.
    pub text: String,
}

impl Reason {
    /// Whether it says only that the servers have too much to do now, whatever the index. Otherwise it is this index
    /// that takes no documents. A disk that is too full answers with this status too, but by blocking the index.
    #[must_use]
    pub fn is_too_busy(&self) -> bool {
        self.status == TOO_MANY_REQUESTS && self.kind != "cluster_block_exception"
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.kind, self.text)
    }
}

impl Outcomes {
    /// How many items were created.
    #[must_use]
    pub fn created(&self) -> usize {
        self.items - self.others.len()
    }

    /// Reads the answer to a body of `items` items.
    ///
    /// # Errors
    /// In words, if it is not such an answer. Then nothing is known of any item.
    pub(super) fn read(answer: &[u8], items: usize) -> Result<Outcomes, String> {
        // The usual answer, in the order in which both products write it; an item is looked at only if there was an error.
        if answer.starts_with(br#"{"errors":false,"items":[{"#) && answer.ends_with(b"}]}") {
            return Ok(Outcomes { items, others: Vec::new() });
        }
        let answer: Answer = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
        if answer.items.0.items != items {
            return Err(format!("it tells of {} items where {items} were sent", answer.items.0.items));
        }
        Ok(answer.items.0)
    }
}

#[derive(Deserialize)]
struct Answer {
    items: Items,
}

/// The items, told apart while they are read, so that an answer to thousands of them needs no tree of its own.
struct Items(Outcomes);

/// An item is an object with one member, named after its action.
struct Item<'a>(Told<'a>);

#[derive(Deserialize)]
struct Told<'a> {
    status: u16,
    #[serde(borrow, default)]
    error: Option<ToldError<'a>>,
}

#[derive(Default, Deserialize)]
struct ToldError<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    caused_by: Option<Cause<'a>>,
}

#[derive(Deserialize)]
struct Cause<'a> {
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

impl ToldError<'_> {
    /// OpenSearch says only "failed to parse" and leaves what there is to know to the cause.
    fn text(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or_default();
        match self.caused_by.as_ref().and_then(|cause| cause.reason.as_deref()) {
            Some(cause) => cut(&format!("{reason}: {cause}")).to_owned(),
            None => cut(reason).to_owned(),
        }
    }
}

impl Told<'_> {
    /// `None` if it was created. A document must not be given up, or called done, for a reason that has nothing to
    /// do with it.
    fn outcome(self) -> Option<Outcome> {
        let error = self.error.unwrap_or_default();
        let kind = &*error.kind;
        if matches!(self.status, 200 | 201) && kind.is_empty() {
            return None;
        }
        if self.status == 409 && kind == "version_conflict_engine_exception" {
            return Some(Outcome::Duplicate);
        }
        let reason = Box::new(Reason { status: self.status, kind: kind.to_owned(), text: error.text() });
        Some(Outcome::of(reason))
    }
}

impl Outcome {
    /// Of an item that was turned away. What is neither clearly done nor clearly refused is sent again.
    pub(super) fn of(reason: Box<Reason>) -> Self {
        let Reason { status, kind, .. } = &*reason;
        let is_refused = matches!(status, 400..500) && !is_temporary(*status) && !is_circumstance(*status, kind);
        match is_refused {
            true if is_race(&reason) => Outcome::Raced(reason),
            true => Outcome::Refused(reason),
            false => Outcome::Again(reason),
        }
    }
}

/// Whether new fields of this document and of another were in each other's way: neither is at fault. A document of its
/// own kind that does not fit is told of by another name (`mapper_parsing_exception`, `document_parsing_exception`).
fn is_race(reason: &Reason) -> bool {
    const WORDS: [&str; 4] = [
        "cannot be changed from type",
        "can't merge a non object mapping",
        "can't merge a non-object mapping",
        "can't merge an object mapping",
    ];
    reason.kind == "illegal_argument_exception" && WORDS.iter().any(|words| reason.text.contains(words))
}

/// Whether an item was turned away for the state of the cluster and not for what is in it.
fn is_circumstance(status: u16, kind: &str) -> bool {
    match status {
        // Privileges, and indexes blocked by an operator or by a full disk.
        401 | 403 => true,
        // An index that may not be made by itself; a conflict of anything but an id.
        404 | 409 => true,
        // A closed index; and `validation_exception` is the cluster's limit on shards.
        400 => matches!(kind, "index_closed_exception" | "validation_exception"),
        _ => false,
    }
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Items;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Items, A::Error> {
                let mut outcomes = Outcomes::default();
                while let Some(Item(told)) = array.next_element()? {
                    if let Some(outcome) = told.outcome() {
                        outcomes.others.push((outcomes.items, outcome));
                    }
                    outcomes.items += 1;
                }
                Ok(Items(outcomes))
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

impl<'de> Deserialize<'de> for Item<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Item<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with one action")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item<'de>, A::Error> {
                let Some((IgnoredAny, told)) = map.next_entry()? else {
                    return Err(serde::de::Error::custom("an item without an action"));
                };
                Ok(Item(told))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Outcomes, Reason};

    fn item(status: u16, kind: &str) -> Option<Outcome> {
        let answer = format!(
            r#"{{"items":[{{"create":{{"error":{{"reason":"a \"b\"","type":"{kind}"}},"status":{status}}}}}],"errors":true}}"#
        );
        let mut outcomes = Outcomes::read(answer.as_bytes(), 1).unwrap();
        outcomes.others.pop().map(|(_, outcome)| outcome)
    }

    #[test]
    fn each_item_has_its_own_outcome_in_any_order_of_members() {
        let answer = br#"{"took":3,"errors":true,"items":[
            {"create":{"status":201}},
            {"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"[1]: exists"}}},
            {"create":{"error":{"reason":"busy","type":"es_rejected_execution_exception","x":{}},"status":429}},
            {"index":{"_id":"4","status":200}},
            {"create":{"status":400,"error":{"type":"document_parsing_exception","reason":null,
                "caused_by":{"reason":"why"}}}}]}"#;
        let outcomes = Outcomes::read(answer, 5).unwrap();
        assert_eq!((outcomes.items, outcomes.created()), (5, 2));
        let again = Reason { status: 429, kind: "es_rejected_execution_exception".into(), text: "busy".into() };
        let refused = Reason { status: 400, kind: "document_parsing_exception".into(), text: ": why".into() };
        assert_eq!(
            outcomes.others,
            [(1, Outcome::Duplicate), (2, Outcome::Again(Box::new(again))), (4, Outcome::Refused(Box::new(refused)))]
        );
    }

    #[test]
    fn only_a_version_conflict_is_a_duplicate() {
        assert_eq!(item(409, "version_conflict_engine_exception"), Some(Outcome::Duplicate));
        assert!(matches!(item(409, "something_else"), Some(Outcome::Again(_))));
    }

    #[test]
    fn a_document_is_not_given_up_for_the_state_of_the_cluster() {
        let circumstances = [
            (403, "cluster_block_exception"),
            (403, "security_exception"),
            (404, "index_not_found_exception"),
            (400, "index_closed_exception"),
            (400, "validation_exception"),
            (503, "unavailable_shards_exception"),
            (500, ""),
            (302, ""),
        ];
        for (status, kind) in circumstances {
            assert!(matches!(item(status, kind), Some(Outcome::Again(_))), "{status} {kind}");
        }
        for (status, kind) in [(400, "document_parsing_exception"), (400, "illegal_argument_exception"), (413, "")] {
            assert!(matches!(item(status, kind), Some(Outcome::Refused(_))), "{status} {kind}");
        }
    }

    #[test]
    fn a_race_of_new_fields_is_told_from_a_document_that_does_not_fit() {
        let of = |kind: &str, text: &str| {
            Outcome::of(Box::new(Reason { status: 400, kind: kind.to_owned(), text: text.to_owned() }))
        };
        for text in [
            "mapper [a] cannot be changed from type [long] to [float]",
            "can't merge a non object mapping [a] with an object mapping",
        ] {
            assert!(matches!(of("illegal_argument_exception", text), Outcome::Raced(_)), "{text}");
            assert!(matches!(of("mapper_parsing_exception", text), Outcome::Refused(_)), "{text}");
        }
        assert!(matches!(of("illegal_argument_exception", "Limit of total fields"), Outcome::Refused(_)));
    }

    #[test]
    fn servers_that_are_too_busy_are_told_from_an_index_that_takes_nothing() {
        let reason = |status, kind: &str| Reason { status, kind: kind.to_owned(), text: String::new() };
        assert!(reason(429, "es_rejected_execution_exception").is_too_busy());
        assert!(reason(429, "circuit_breaking_exception").is_too_busy());
        assert!(!reason(429, "cluster_block_exception").is_too_busy());
        assert!(!reason(403, "cluster_block_exception").is_too_busy());
        assert!(!reason(503, "unavailable_shards_exception").is_too_busy());
    }

    #[test]
    fn all_created_needs_no_look_at_the_items() {
        let outcomes = Outcomes::read(br#"{"errors":false,"items":[{"create":{"status":201}}]}"#, 1).unwrap();
        assert_eq!(outcomes, Outcomes { items: 1, others: Vec::new() });
    }

    #[test]
    fn an_answer_that_is_not_one_tells_nothing_of_any_item() {
        let answers: [&[u8]; 6] = [
            b"",
            b"{}",
            br#"{"errors":false,"items":[{"create":{"st"#,
            br#"{"errors":true,"items":[]}"#,
            br#"{"errors":true,"items":[{}]}"#,
            br#"{"errors":true,"items":[{"create":{}}]}"#,
        ];
        for answer in answers {
            assert!(Outcomes::read(answer, 1).is_err(), "{}", String::from_utf8_lossy(answer));
        }
    }
}
