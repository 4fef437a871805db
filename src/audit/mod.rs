//! Role: what Kafka's records say was sent, against what the store has of it.
//!
//! [`run`] reads the records of a task in a window of time, whose headers tell of which files and bytes they are and how
//! many lines begin there; asks the store how many documents it has of each such stretch; and where the two are not the
//! same, goes down to the lines. It promises that nothing is called proven that was not counted on both sides, that what
//! can't be known is said, and that it changes nothing anywhere. Memory is limited by what is kept of the records
//! ([`trail`]), of dead letters and of differences. It must not know how a report is shown.

mod closer;
mod compare;
mod gather;
mod letters;
mod proof;
mod report;
mod trail;

use jiff::Timestamp;
use thiserror::Error;

pub use report::{Difference, FileReport, Report, Verdict};

use crate::{
    config::{Config, Ids},
    elastic::{Client, ElasticError, places::Places},
    kafka::KafkaError,
    reader::Pattern,
    record::Checkpoint,
    store::StoreError,
};

/// What is to be proven.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Lines of this task; none means of all.
    pub task: Option<String>,
    /// The topics to read; none means those of the task.
    pub topics: Vec<String>,
    /// The indices to look into, as a pattern.
    pub indices: String,
    /// Records from this time on; none means all that Kafka has.
    pub since: Option<Timestamp>,
    /// Records before this time.
    pub until: Option<Timestamp>,
    /// Files that one of these means; none means all.
    pub files: Vec<Pattern>,
    /// How many differences of a file are listed.
    pub limit: usize,
}

/// How far an audit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many dead letters were read.
    Letters(u64),
    /// So many records were read of so many.
    Records(u64, u64),
    /// So many files were counted of so many.
    Files(usize, usize),
    /// So many stretches were looked at line by line of so many.
    Stretches(usize, usize),
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AuditError {
    /// Kafka gives none.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The store gives none.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store can't be asked.
    #[error(transparent)]
    Elastic(#[from] ElasticError),
    /// There is more than is kept in memory.
    #[error(
        "there are more than {max} {what}, and no more are kept in memory; ask for less, by --since, --until or --task"
    )]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        max: usize,
    },
    /// It is not known what to read.
    #[error("{0}")]
    Question(String),
}

/// Looks for an answer. `checkpoints` are those of this host, read before; none where no agent runs. To be called in a
/// runtime of several threads, one of which it blocks at times.
///
/// # Errors
/// If Kafka or the store can't be asked, or there is too much.
pub async fn run(
    config: &Config,
    question: &Question,
    checkpoints: &[Checkpoint],
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, AuditError> {
    let topics = topics(config, question)?;
    let places = Places::new(Client::new(&config.elasticsearch)?, &question.indices);
    let gathered = gather::gather(config, question, topics, progress).await?;
    let mut report = Report {
        topics: gathered.topics.clone(),
        records: gathered.records,
        untold: gathered.untold,
        unreadable: gathered.unreadable,
        lost_letters: gathered.letters.lost,
        unprovable: gathered.unprovable.clone(),
        remarks: gathered.remarks.clone(),
        ..Report::default()
    };
    if gathered.unreadable > 0 {
        let what = format!("{} records can't be read and are no dead letters", gathered.unreadable);
        report.unprovable.push(what);
    }
    if let Err(error) = places.refresh().await {
        let what =
            format!("the indices could not be refreshed, so that the newest documents may not be found: {error}");
        report.remarks.push(what);
    }
    let proof = proof::Proof {
        settings: &config.kafka,
        question,
        gathered: &gathered,
        places: &places,
        is_once: config.transfer.ids == Ids::Deterministic,
    };
    proof.add_to(&mut report, checkpoints, progress).await?;
    let is_known = |name: &String| config.agent.tasks.iter().any(|task| *task.name == **name);
    if report.files.is_empty() && (!question.files.is_empty() || !question.task.as_ref().is_none_or(is_known)) {
        // It may be a name that was mistyped.
        report.unprovable.push("no record tells of such a file or task".to_owned());
    }
    Ok(report)
}

/// The topics that have the lines in question.
fn topics(config: &Config, question: &Question) -> Result<Vec<String>, AuditError> {
    if !question.topics.is_empty() {
        return Ok(question.topics.clone());
    }
    let mut topics: Vec<String> = Vec::new();
    let made = config.agent.topics().unwrap_or_default();
    for (task, topic) in config.agent.tasks.iter().zip(made) {
        if question.task.as_deref().is_none_or(|wanted| wanted == &*task.name) {
            topics.push(topic.to_string());
        }
    }
    if topics.is_empty() {
        topics.clone_from(&config.transfer.topics);
    }
    topics.sort_unstable();
    topics.dedup();
    if topics.is_empty() || topics.iter().any(|topic| topic.starts_with('^')) {
        let why = "the configuration does not say which topics the lines are in; name them by --topic";
        return Err(AuditError::Question(why.to_owned()));
    }
    Ok(topics)
}
