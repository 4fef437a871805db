//! Which product and version the servers are, read from the banner that they serve at their root.

use std::fmt;

use serde::Deserialize;

/// What answers at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// The product.
    pub flavor: Flavor,
    /// Major, minor and patch; anything behind them (`-SNAPSHOT`) is left out.
    pub version: (u32, u32, u32),
}

/// The two products that speak this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Elasticsearch.
    Elasticsearch,
    /// OpenSearch.
    OpenSearch,
}

impl Server {
    /// The oldest Elasticsearch there can be behind an answer that names the product but not the version.
    pub(super) const OLDEST_ELASTICSEARCH: Server = Server { flavor: Flavor::Elasticsearch, version: (8, 0, 0) };

    /// Reads the banner; `None` if it is not one.
    pub(super) fn from_banner(banner: &[u8]) -> Option<Server> {
        #[derive(Deserialize)]
        struct Banner {
            version: Version,
            #[serde(default)]
            tagline: String,
        }
        #[derive(Deserialize)]
        struct Version {
            number: String,
            #[serde(default)]
            distribution: String,
        }
        let banner: Banner = serde_json::from_slice(banner).ok()?;
        let flavor = match (banner.version.distribution.as_str(), banner.tagline.as_str()) {
            ("opensearch", _) => Flavor::OpenSearch,
            (_, "You Know, for Search") => Flavor::Elasticsearch,
            _ => return None,
        };
        let number = banner.version.number.split('-').next().unwrap_or_default();
        let mut parts = number.split('.').map(|part| part.parse().ok());
        let version = (parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0));
        Some(Server { flavor, version })
    }

    /// Whether this product and version can be used.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        match self.flavor {
            Flavor::Elasticsearch => self.version.0 >= 8,
            // OpenSearch says 7.10 if it is told to pass for what it was forked from.
            Flavor::OpenSearch => self.version.0 >= 2,
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.version;
        write!(f, "{:?} {major}.{minor}.{patch}", self.flavor)
    }
}

#[cfg(test)]
mod tests {
    use super::{Flavor, Server};

    #[test]
    fn both_products_are_recognised_by_their_banner() {
        let elasticsearch =
            br#"{"name":"n","version":{"number":"9.1.0-SNAPSHOT","lucene_version":"10"},"tagline":"You Know, for Search"}"#;
        let server = Server::from_banner(elasticsearch).unwrap();
        assert_eq!(server, Server { flavor: Flavor::Elasticsearch, version: (9, 1, 0) });
        assert!(server.is_supported());

        let opensearch =
            br#"{"version":{"distribution":"opensearch","number":"3.6.0"},"tagline":"The OpenSearch Project"}"#;
        assert_eq!(Server::from_banner(opensearch).unwrap().to_string(), "OpenSearch 3.6.0");
    }

    /// What an OpenSearch 2 serves at its root.
    #[test]
    fn opensearch_2_is_recognised_even_where_it_passes_for_what_it_was_forked_from() {
        let banner = |number: &str| {
            format!(
                r#"{{
                  "name" : "node-1",
                  "cluster_name" : "opensearch-cluster",
                  "cluster_uuid" : "b4gqkFgvQZ6rMRqJ3XgZ4w",
                  "version" : {{
                    "distribution" : "opensearch",
                    "number" : "{number}",
                    "build_type" : "tar",
                    "build_hash" : "fae7c8c5e4c5b0d0f7a1d7a5b6c2e1f0a9b8c7d6",
                    "build_date" : "2025-02-05T19:09:33.407884Z",
                    "build_snapshot" : false,
                    "lucene_version" : "9.12.1",
                    "minimum_wire_compatibility_version" : "7.10.0",
                    "minimum_index_compatibility_version" : "7.0.0"
                  }},
                  "tagline" : "The OpenSearch Project: https://opensearch.org/"
                }}"#
            )
        };
        let read = |number| Server::from_banner(banner(number).as_bytes()).expect("a banner");
        assert_eq!(read("2.19.1"), Server { flavor: Flavor::OpenSearch, version: (2, 19, 1) });
        assert!(read("2.19.1").is_supported() && read("2.0.0").is_supported());
        // As `compatibility.override_main_response_version` has it say.
        assert!(read("7.10.2").is_supported() && read("7.10.2").flavor == Flavor::OpenSearch);
    }

    #[test]
    fn other_servers_are_not_taken_for_one() {
        let old = br#"{"version":{"number":"7.17.1"},"tagline":"You Know, for Search"}"#;
        assert!(!Server::from_banner(old).unwrap().is_supported());
        let others: [&[u8]; 4] = [
            b"",
            b"<html>",
            br#"{"version":{"number":"8.1.0"}}"#,
            br#"{"version":{"number":"x"},"tagline":"You Know, for Search"}"#,
        ];
        assert!(others.iter().all(|banner| Server::from_banner(banner).is_none()));
    }
}
