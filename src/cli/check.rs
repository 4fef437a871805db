//! `logdrive check`: the configuration, then every server that it names, one line each.

use super::{failure::Told, report::report, service, stores};
use crate::{config::Config, elastic, kafka};

pub(super) fn run(config: &Config) -> anyhow::Result<()> {
    let file =
        config.file.as_ref().map_or_else(|| "no file, all defaults".to_owned(), |file| file.display().to_string());
    let (tasks, topics) = (config.agent.tasks.len(), config.transfer.topics.len());
    report("configuration", Ok::<_, &str>(format!("{file}: tasks: {tasks}, topics to transfer: {topics}")));
    let all_well = service::threads(config)?.block_on(servers(config));
    if all_well { Ok(()) } else { Err(Told.into()) }
}

/// Asks the servers that the configuration has something of, or that its tasks and topics need.
async fn servers(config: &Config) -> bool {
    let (collects, transfers) = (!config.agent.tasks.is_empty(), !config.transfer.topics.is_empty());
    let mut all_well = true;
    if config.names("kafka") || collects || transfers {
        let answer = kafka::check(&config.kafka).await;
        all_well &=
            report("kafka", answer.map(|lines| format!("{}: {}", config.kafka.bootstrap_servers, lines.join(", "))));
    }
    if config.names("elasticsearch") || transfers {
        let indices = stores::indices(&config.transfer.target());
        let answer = elastic::check::check(&config.elasticsearch, &indices).await;
        all_well &=
            report("elasticsearch", answer.map(|text| format!("{}: {text}", config.elasticsearch.urls.join(", "))));
    }
    all_well
}
