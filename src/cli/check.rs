//! `logdrive check`: the configuration, then every server that it names, one line each.

use std::{
    io::{self, Write},
    path::Path,
};

use tracing::warn;

use super::{
    arguments::Check,
    dry_run,
    failure::Told,
    report::{remark, report},
    service, stores,
};
use crate::{
    config::{self, Config},
    elastic,
    etcd::Etcd,
    kafka,
};

pub(super) fn run(config: &Config, asked: &Check) -> anyhow::Result<()> {
    let file = match config.sources().as_slice() {
        [file, directory, more @ ..] if !more.is_empty() => {
            format!("{} and {} of {}", file.display(), more.len(), directory.display())
        }
        [file, ..] => file.display().to_string(),
        [] => "no file, all defaults".to_owned(),
    };
    let (tasks, topics) = (config.agent.tasks.len(), config.transfer.topics.len());
    report("configuration", Ok::<_, &str>(format!("{file}: tasks: {tasks}, topics to transfer: {topics}")));
    for overlap in config.agent.overlaps() {
        remark(&format!("task {}", overlap.second), &overlap.to_string());
    }
    if asked.dry_run {
        return dry_run::run(config);
    }
    let all_well = service::threads(config)?.block_on(servers(config));
    if all_well { Ok(()) } else { Err(Told.into()) }
}

/// Prints the JSON Schema of the configuration.
pub(super) fn print_schema() -> anyhow::Result<()> {
    Ok(io::stdout().lock().write_all(config::json_schema().as_bytes())?)
}

/// Prints what is written, without secrets.
pub(super) fn print_config(path: Option<&Path>) -> anyhow::Result<()> {
    Ok(io::stdout().lock().write_all(Config::print(path)?.as_bytes())?)
}

/// Says in the log which tasks mean the same files.
pub(super) fn warn_of_overlaps(config: &Config) {
    for overlap in config.agent.overlaps() {
        warn!(task = %overlap.second, "{overlap}");
    }
}

/// Asks the servers that the configuration has something of, or that its tasks and topics need.
async fn servers(config: &Config) -> bool {
    let (collects, transfers) = (!config.agent.tasks.is_empty(), !config.transfer.topics.is_empty());
    let mut all_well = true;
    if config.names("kafka") || collects || transfers {
        let answer = kafka::check(&config.kafka).await;
        let answers = answer.is_ok();
        all_well &=
            report("kafka", answer.map(|lines| format!("{}: {}", config.kafka.bootstrap_servers, lines.join(", "))));
        if answers {
            all_well &= topics(config).await;
        }
    }
    if config.names("elasticsearch") || transfers {
        let indices = stores::indices(&config.transfer.target());
        let answer = elastic::check::check(&config.elasticsearch, &indices).await;
        all_well &=
            report("elasticsearch", answer.map(|text| format!("{}: {text}", config.elasticsearch.urls.join(", "))));
    }
    if !config.etcd.endpoints.is_empty() {
        let answer = async { Etcd::new(&config.etcd)?.check().await };
        all_well &= report("etcd", answer.await);
    }
    all_well
}

/// Says to which topic each task sends, and whether it is there.
async fn topics(config: &Config) -> bool {
    let there = match kafka::describe(&config.kafka).await {
        Ok(there) => there,
        Err(error) => return report("topics", Err::<String, _>(error)),
    };
    let topics = match config.agent.topics() {
        Ok(topics) => topics,
        Err(error) => return report("topics", Err::<String, _>(error)),
    };
    for (task, topic) in config.agent.tasks.iter().zip(topics) {
        let part = format!("task {}", task.name);
        if there.iter().any(|known| *known.name == *topic) {
            report(&part, Ok::<_, &str>(format!("sends to {topic}")));
        } else {
            remark(&part, &format!("sends to {topic}, which is not there; `logdrive setup kafka` makes it"));
        }
    }
    true
}
