//! `logdrive check`: the configuration, then every server that it names, one line each.

use super::{
    failure::Told,
    report::{remark, report},
    service, stores,
};
use crate::{config::Config, elastic, etcd::Etcd, kafka};

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
