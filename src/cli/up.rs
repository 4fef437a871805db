//! `logdrive up`: files to the embedded store, and the search page over it, in one process.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use tracing::{info, warn};

use super::{
    arguments::Up,
    debug,
    failure::Usage,
    reload::{Tasks, Uses},
    serve, service,
};
use crate::{config::Config, inspect, local::Local, reader, search};

pub(super) fn run(config: &Config, up: &Up) -> anyhow::Result<()> {
    if up.patterns.is_empty() && config.agent.tasks.is_empty() {
        let hint = "name files, as in: logdrive up /var/log/syslog";
        return Err(Usage(format!("no file is named, and the configuration has no task\nhint: {hint}")).into());
    }
    let patterns = up.patterns.iter().map(|text| pattern(text)).collect::<anyhow::Result<Vec<String>>>()?;
    let tasks = if patterns.is_empty() { Tasks::Fixed } else { Tasks::Unused };
    let tables = &["agent", "data_dir", "document", "embedded", "host", "metrics", "web", "worker_threads"];
    let (asker, questions) = inspect::channel();
    let routes = debug::routes(&config.metrics, asker);
    service::run_with(config, Uses { tables, tasks }, routes, async |stop, health| {
        let listener = serve::open(&config.web.listen, "web.listen").await?;
        let address = listener.local_addr().context("can't tell the page's address")?;
        let local = Local::open(config)?;
        serve::spawn(listener, search::router(Arc::new(local.store())), stop.child_token());
        info!("open http://{address}");
        local.run(config, patterns, stop, &health, questions).await
    })
}

/// The pattern, from the root. One that means nothing yet is waited for, and that is said.
fn pattern(text: &str) -> anyhow::Result<String> {
    if Path::new(text).is_dir() {
        let all = Path::new(text).join("**/*.log");
        return Err(Usage(format!("{text} is a directory\nhint: name the files in it: '{}'", all.display())).into());
    }
    let count = reader::count_matches(text)
        .map_err(|error| Usage(format!("{error}\nhint: `*`, `?`, `**`, `[a-z]` and `{{a,b}}` are understood")))?;
    if count == 0 {
        warn!(pattern = text, "there is no such file yet; it is collected when it appears");
    }
    let path = std::path::absolute(text).with_context(|| format!("can't tell where {text} is"))?;
    // The text is UTF-8; only the working directory may not be, and then the text goes on as it is.
    Ok(path.to_str().map_or_else(|| text.to_owned(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::{super::failure::Usage, Config, Up, pattern, run};

    #[test]
    fn without_a_file_and_without_a_task_it_says_how_it_is_used() {
        let error = run(&Config::default(), &Up { patterns: Vec::new() }).expect_err("nothing to collect");
        assert!(error.is::<Usage>() && error.to_string().contains("logdrive up /var/log/syslog"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_waited_for_and_a_directory_is_answered_with_a_pattern() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("later.log").display().to_string();
        assert_eq!(pattern(&file).expect("a pattern"), file);
        let error = pattern(&dir.path().display().to_string()).expect_err("a directory");
        assert!(error.is::<Usage>() && error.to_string().contains("/**/*.log'"), "{error}");
        assert!(pattern("/var/log/[a").expect_err("no pattern").is::<Usage>());
    }
}
