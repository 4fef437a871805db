//! `logdrive search`: an answer in the terminal, from whichever store there is.

use std::{
    io::{self, IsTerminal},
    net::TcpStream,
    sync::Arc,
};

use anyhow::bail;
use jiff::tz::TimeZone;

use super::{arguments::Search, service, stores};
use crate::{
    config::Config,
    search::terminal::{self, Options, Request},
    store::Store,
};

pub(super) fn run(config: &Config, search: &Search) -> anyhow::Result<()> {
    let store = store(config, search)?;
    let stdout = io::stdout();
    let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let zone = if search.utc { TimeZone::UTC } else { TimeZone::system() };
    let request = Request {
        query: search.query.join(" "),
        since: search.since.clone(),
        until: search.until.clone(),
        limit: search.limit,
        count: search.count,
        options: Options { color: colour, json: search.json, zone: Some(zone) },
    };
    let mut out = io::BufWriter::new(stdout.lock());
    let answer = async { terminal::run(&*store, &request, &mut out, &mut io::stderr()).await };
    service::threads(config)?.block_on(answer)?;
    io::Write::flush(&mut out)?;
    Ok(())
}

/// The page that is named; else a page that runs here; else the Elasticsearch that is configured; else what an
/// earlier `logdrive up` left in the data directory.
fn store(config: &Config, search: &Search) -> anyhow::Result<Arc<dyn Store>> {
    if let Some(url) = &search.url {
        return stores::page(url);
    }
    let page = stores::page_address(&config.web.listen);
    if TcpStream::connect(&page).is_ok() {
        return stores::page(&format!("http://{page}"));
    }
    if config.names("elasticsearch") {
        return stores::elastic(config);
    }
    if let Some(store) = stores::embedded(config)? {
        return Ok(store);
    }
    bail!(
        "nothing to search: no logdrive serves its page on {page}, no configuration names an \
         [elasticsearch], and there is no store in the data directory\n\
         hint: start `logdrive up FILE…`, or name a page with --url"
    )
}
