//! The topics that the configuration names.

use clap::Args;

use crate::{
    cli::{
        failure::Usage,
        report::{remark, report},
    },
    config::{Config, TopicError},
    kafka::{self, Intent, KafkaError, NewTopic, Topic},
};

/// `logdrive setup kafka`.
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Examples:
  logdrive setup kafka --dry-run
  logdrive setup kafka --partitions 12 --replication-factor 3
  logdrive setup kafka logdrive-dead-letter --partitions 1 --topic-config retention.ms=2592000000

A dry run asks the brokers whether they would make the topics. What is not said is left to the brokers' defaults.
A topic that is there is never changed: what differs is said, and how to change it.")]
pub(super) struct Options {
    /// Only these of the topics that the configuration names
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
    /// Partitions of a new topic
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// How many brokers hold each partition of a new topic
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..=32767))]
    replication_factor: Option<i32>,
    /// A setting of a new topic by Kafka's own name, such as retention.ms=604800000; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    topic_config: Vec<(String, String)>,
}

/// Makes what is missing. Gives whether all that is wanted is there, or would be.
pub(super) async fn run(config: &Config, options: &Options, dry: bool) -> anyhow::Result<bool> {
    let wanted = wanted(config, options)?;
    for pattern in config.transfer.topics.iter().filter(|topic| topic.starts_with('^')) {
        remark("kafka", &format!("the pattern {pattern:?} names no topic: those that it matches are not made here"));
    }
    let there = match kafka::describe(&config.kafka).await {
        Ok(there) => there,
        Err(error) => return Ok(report("kafka", Err::<String, _>(error))),
    };
    let mut all_well = true;
    for name in &wanted {
        let known = there.iter().find(|topic| topic.name == *name);
        all_well &= match known {
            Some(known) => compare(config, options, known).await,
            None => make(config, options, name, dry).await,
        };
    }
    Ok(all_well)
}

/// The topics to see to, each once.
fn wanted(config: &Config, options: &Options) -> anyhow::Result<Vec<String>> {
    let named = named(config)?;
    if let Some(stranger) = options.topics.iter().find(|topic| !named.contains(topic)) {
        let named = named.join(", ");
        let message = format!("the configuration does not name the topic {stranger:?}\nhint: it names {named}");
        return Err(Usage(message).into());
    }
    if named.is_empty() {
        let hint = "add [[agent.tasks]] or transfer.topics, or name the file with --config";
        return Err(Usage(format!("the configuration names no topic\nhint: {hint}")).into());
    }
    let is_wanted = |topic: &String| options.topics.is_empty() || options.topics.contains(topic);
    Ok(named.into_iter().filter(is_wanted).collect())
}

/// All topics that the configuration names: of tasks, to be transferred, and for dead letters if anything is.
fn named(config: &Config) -> Result<Vec<String>, TopicError> {
    let tasks = config.agent.topics()?;
    let transferred = config.transfer.topics.iter().map(String::as_str).filter(|topic| !topic.starts_with('^'));
    let letters = (!config.transfer.topics.is_empty()).then_some(config.transfer.dead_letter_topic.as_str());
    let refused = (!config.agent.tasks.is_empty()).then_some(config.agent.dead_letter_topic.as_str());
    let mut named: Vec<String> = Vec::new();
    for topic in tasks.iter().map(|topic| &**topic).chain(transferred).chain(letters).chain(refused) {
        if !named.iter().any(|known| known == topic) {
            named.push(topic.to_owned());
        }
    }
    Ok(named)
}

async fn make(config: &Config, options: &Options, name: &str, dry: bool) -> bool {
    let wanted = NewTopic {
        name: name.to_owned(),
        partitions: options.partitions.unwrap_or(-1),
        replication: options.replication_factor.unwrap_or(-1),
        settings: options.topic_config.clone(),
    };
    let intent = if dry { Intent::Ask } else { Intent::Make };
    let made = kafka::create(&config.kafka, &wanted, intent).await;
    let told = made.map(|is_new| match (is_new, dry) {
        (true, false) => format!("made, {}", form(&wanted)),
        (true, true) => format!("would be made, {}", form(&wanted)),
        (false, _) => "is there: someone else has just made it".to_owned(),
    });
    report(name, told)
}

/// The form of a new topic, in words.
fn form(wanted: &NewTopic) -> String {
    let count = |count: i32| if count < 0 { "the brokers' default".to_owned() } else { count.to_string() };
    let mut form = format!("partitions: {}, replication: {}", count(wanted.partitions), count(wanted.replication));
    for (name, value) in &wanted.settings {
        form.push_str(&format!(", {name}={value}"));
    }
    form
}

/// Says what a topic is like that is there, and what of it is not as it was asked for.
async fn compare(config: &Config, options: &Options, known: &Topic) -> bool {
    let settings = if options.topic_config.is_empty() {
        Ok(Vec::new())
    } else {
        kafka::settings_of(&config.kafka, &known.name).await.map(|settings| settings.into_iter().collect())
    };
    let settings: Vec<(String, String)> = match settings {
        Ok(settings) => settings,
        Err(error) => return report(&known.name, Err::<String, _>(error)),
    };
    let told = format!("is there, partitions: {}, replication: {}", known.partitions, known.replication);
    report(&known.name, Ok::<_, KafkaError>(told));
    for difference in differences(options, known, &settings) {
        remark(&known.name, &difference);
    }
    true
}

/// What was asked for and is otherwise, each with how it could be changed.
fn differences(options: &Options, known: &Topic, settings: &[(String, String)]) -> Vec<String> {
    let (mut differences, name) = (Vec::new(), &known.name);
    if let Some(wanted) = options.partitions.filter(|wanted| *wanted != known.partitions) {
        let has = known.partitions;
        let hint = if wanted > has {
            format!("kafka-topics.sh --alter --topic {name} --partitions {wanted} adds some")
        } else {
            "a topic's partitions can only become more".to_owned()
        };
        differences.push(format!("has {has} partitions, not {wanted}, and is left so; {hint}"));
    }
    if let Some(wanted) = options.replication_factor.filter(|wanted| *wanted != known.replication) {
        differences.push(format!(
            "is held by {} brokers, not by {wanted}, and is left so; kafka-reassign-partitions.sh changes it",
            known.replication
        ));
    }
    for (setting, wanted) in &options.topic_config {
        let is = settings.iter().find(|(known, _)| known == setting).map(|(_, value)| value.as_str());
        match is {
            Some(is) if is == wanted => (),
            Some(is) => differences.push(format!(
                "has {setting}={is}, not {wanted}, and is left so; kafka-configs.sh --alter --entity-type topics \
                 --entity-name {name} --add-config {setting}={wanted} changes it"
            )),
            None => differences.push(format!("has no setting {setting}; look at Kafka's names of topic settings")),
        }
    }
    differences
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, such as retention.ms=604800000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, Options, Topic, differences, named, setting, wanted};

    fn config(text: &str) -> Config {
        toml::from_str(text).expect("a configuration")
    }

    const BOTH: &str = "
        [transfer]
        topics = ['nginx', '^app-', 'other']
        dead_letter_topic = 'dead'
        [agent]
        dead_letter_topic = 'dead'
        [[agent.tasks]]
        name = 'a'
        paths = ['/a']
        topic = 'nginx'
        [[agent.tasks]]
        name = 'b'
        paths = ['/b']
        labels = { service = 'api' }
        topic = 'app-{service}'";

    #[test]
    fn each_topic_that_the_configuration_names_is_wanted_once_and_patterns_are_none() {
        assert_eq!(named(&config(BOTH)).expect("valid"), ["nginx", "app-api", "other", "dead"]);
        assert!(named(&config("")).expect("valid").is_empty(), "without a transfer there are no dead letters");
        let only = Options { topics: vec!["dead".to_owned()], ..Options::default() };
        assert_eq!(wanted(&config(BOTH), &only).expect("it is named"), ["dead"]);
        let stranger = Options { topics: vec!["nginks".to_owned()], ..Options::default() };
        assert!(
            wanted(&config(BOTH), &stranger).expect_err("unknown").to_string().contains("nginx, app-api, other, dead")
        );
    }

    #[test]
    fn what_differs_is_said_with_what_it_is_and_what_would_change_it() {
        let known = Topic { name: "app".to_owned(), partitions: 3, replication: 1, leaderless: 0 };
        let settings =
            [("retention.ms".to_owned(), "1".to_owned()), ("cleanup.policy".to_owned(), "delete".to_owned())];
        let asked = Options {
            partitions: Some(6),
            replication_factor: Some(1),
            topic_config: [("retention.ms", "2"), ("cleanup.policy", "delete"), ("no.such", "1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..Options::default()
        };
        let said = differences(&asked, &known, &settings);
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].starts_with("has 3 partitions, not 6") && said[0].contains("--partitions 6"), "{said:?}");
        assert!(said[1].starts_with("has retention.ms=1, not 2"), "{said:?}");
        assert!(said[2].contains("no.such"), "{said:?}");
        assert!(differences(&Options::default(), &known, &settings).is_empty(), "nothing was asked for");
    }

    #[test]
    fn a_setting_has_a_name_and_a_value() {
        assert_eq!(setting("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(setting("retention.ms").is_err() && setting("=1").is_err());
    }
}
