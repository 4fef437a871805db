//! Where a document's line stood, as the document itself says.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What a letter tells of a document's line; nothing of what the document doesn't say, or says oddly.
#[derive(Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Provenance<'a> {
    #[serde(borrow, rename(deserialize = "host.name"), skip_serializing_if = "Option::is_none")]
    pub(super) host: Option<Cow<'a, str>>,
    #[serde(borrow, rename(deserialize = "logdrive.task"), skip_serializing_if = "Option::is_none")]
    pub(super) task: Option<Cow<'a, str>>,
    #[serde(borrow, rename(deserialize = "log.file.path"), skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<Cow<'a, str>>,
    #[serde(rename(deserialize = "log.offset"), skip_serializing_if = "Option::is_none")]
    pub(super) file_offset: Option<u64>,
}

impl<'a> Provenance<'a> {
    pub(super) fn of(document: &'a str) -> Self {
        serde_json::from_str(document).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Provenance;

    #[test]
    fn what_a_document_says_of_its_line_is_told_and_an_odd_one_tells_nothing() {
        let document = r#"{"message":"a","log.file.path":"/a\"b","log.offset":7,"host.name":"web-1","logdrive.task":"web","n":{}}"#;
        let told = serde_json::to_string(&Provenance::of(document)).expect("JSON");
        assert_eq!(told, r#"{"host":"web-1","task":"web","file":"/a\"b","file_offset":7}"#);
        for odd in ["", "[]", r#"{"host.name":1}"#, r#"{"message":"a"}"#] {
            assert_eq!(serde_json::to_string(&Provenance::of(odd)).expect("JSON"), "{}", "{odd}");
        }
    }
}
