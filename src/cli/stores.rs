//! Which store a command asks.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use crate::{
    config::{Config, Target},
    elastic::{Client, search::Elastic},
    embedded::{Embedded, store_dir},
    search::remote::Remote,
    store::Store,
};

/// The store of this machine's data directory, whether or not another process writes into it; none if there is none.
pub(super) fn embedded(config: &Config) -> anyhow::Result<Option<Arc<dyn Store>>> {
    if !store_dir(&config.data_dir).exists() {
        return Ok(None);
    }
    Ok(Some(Arc::new(Embedded::open(&config.data_dir)?)))
}

/// The Elasticsearch or OpenSearch of the configuration, and all indices that a transfer would write into.
pub(super) fn elastic(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let client = Client::new(&config.elasticsearch)?;
    Ok(Arc::new(Elastic::new(client, &indices(&config.transfer.target()))))
}

/// The page that a running `logdrive up` or `logdrive web` serves.
pub(super) fn page(url: &str) -> anyhow::Result<Arc<dyn Store>> {
    Ok(Arc::new(Remote::new(url)?))
}

/// Where a page of this configuration is reached from this machine.
pub(super) fn page_address(listen: &str) -> String {
    match listen.parse::<SocketAddr>() {
        // The address of all interfaces is one to listen on, not one to go to.
        Ok(address) if address.ip().is_unspecified() => {
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()).to_string()
        }
        _ => listen.to_owned(),
    }
}

/// Every name that the template can make, as a pattern.
pub(super) fn indices(target: &Target) -> String {
    let (Target::Index(template) | Target::DataStream(template)) = target;
    let (mut pattern, mut rest) = (String::new(), template.as_str());
    while let Some(at) = rest.find(['{', '%']) {
        pattern.push_str(&rest[..at]);
        if !pattern.ends_with('*') {
            pattern.push('*');
        }
        // A placeholder is `{name}` or `%` and a letter; loading the configuration refused everything else.
        let end = if rest[at..].starts_with('{') { rest[at..].find('}').map(|end| end + 1) } else { Some(2) };
        rest = rest.get(at + end.unwrap_or(1)..).unwrap_or_default();
    }
    // What no index may be named is written as something else by whoever makes the name.
    let legal = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    (pattern + rest).to_lowercase().replace(|c: char| !legal(c), "*")
}

#[cfg(test)]
mod tests {
    use super::{indices, page_address};
    use crate::config::Target;

    #[test]
    fn the_pattern_covers_what_the_template_makes() {
        let index = |template: &str| indices(&Target::Index(template.to_owned()));
        assert_eq!(index("logs-{topic}-%Y.%m.%d"), "logs-*-*.*.*");
        assert_eq!(index("{topic}%Y%m"), "*");
        assert_eq!(index("My Logs"), "my*logs");
        assert_eq!(index("{topic}"), "*");
    }

    #[test]
    fn a_page_on_all_interfaces_is_asked_on_this_machine() {
        assert_eq!(page_address("0.0.0.0:7717"), "127.0.0.1:7717");
        assert_eq!(page_address("[::]:7717"), "127.0.0.1:7717");
        assert_eq!(page_address("10.0.0.1:80"), "10.0.0.1:80");
        assert_eq!(page_address("localhost:80"), "localhost:80");
    }
}
