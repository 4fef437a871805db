//! `logdrive checkpoints`: how far files were sent, to be seen and changed by hand.

mod change;
mod list;

use std::time::Duration;

use anyhow::{Context, anyhow, bail};

use super::{
    arguments::{Checkpoints, CheckpointsAction as Action},
    failure::Usage,
    service, stores,
};
use crate::{
    checkpoint::{self, Store, StoreError},
    config::Config,
    record::Checkpoint,
};

/// How long a running agent may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

pub(super) fn run(config: &Config, asked: &Checkpoints) -> anyhow::Result<()> {
    match &asked.action {
        Action::List { json } => list::list(read(config)?, *json),
        Action::Show { which, json } => {
            let all = read(config)?;
            list::show(choose(&all, which)?, *json)
        }
        Action::Export => list::export(&read(config)?),
        Action::Set(set) => change::set(config, set),
        Action::Import { file } => change::import(config, file),
    }
}

/// All checkpoints: from the store, or, while an agent has it open, from the agent. Says from where.
pub(super) fn read(config: &Config) -> anyhow::Result<Vec<Checkpoint>> {
    match Store::open_existing(&config.data_dir) {
        Ok(store) => {
            eprintln!("from the store in {}", config.data_dir.display());
            Ok(store.load()?)
        }
        Err(StoreError::Held { .. }) => {
            let url = format!("http://{}/checkpoints", stores::page_address(&config.metrics.listen));
            let answer = service::threads(config)?.block_on(ask(&url));
            let text = answer.with_context(|| {
                format!(
                    "an agent has the checkpoints in {} open, and can't be asked at {url} (metrics.listen)",
                    config.data_dir.display()
                )
            })?;
            eprintln!("from the agent that runs, at {url}");
            text.lines().map(|line| checkpoint::read_line(line).map_err(anyhow::Error::from)).collect()
        }
        Err(error) => Err(error.into()),
    }
}

async fn ask(url: &str) -> anyhow::Result<String> {
    let client = reqwest::Client::builder().timeout(ANSWER_LIMIT).no_proxy().build()?;
    let response = client.get(url).send().await?;
    let status = response.status();
    let text = response.text().await?;
    if !status.is_success() {
        bail!("it answers {status}: {text}");
    }
    Ok(text)
}

/// The store, to be changed: nobody else may have it open.
fn to_change<T>(opened: Result<T, StoreError>) -> anyhow::Result<T> {
    opened.map_err(|error| match error {
        StoreError::Held { .. } => anyhow!("{error}\nhint: checkpoints can be changed while no agent uses them"),
        other => other.into(),
    })
}

/// The checkpoint that is meant by a path or by the first digits of a file's identity. Of several streams of one
/// file, or files that were at one path, the one that was changed last.
fn choose<'a>(all: &'a [Checkpoint], which: &str) -> anyhow::Result<&'a Checkpoint> {
    let path = std::path::absolute(which).unwrap_or_else(|_| which.into());
    let (digits, generation) = match which.split_once('.') {
        Some((digits, generation)) => (digits, generation.parse::<u32>().ok()),
        None => (which, None),
    };
    let is_id = digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let by_path = all.iter().filter(|known| known.path == path);
    let newest = |known: &&Checkpoint| (known.updated_ms, known.stream.generation);
    if let Some(known) = by_path.max_by_key(newest) {
        return Ok(known);
    }
    let digits = digits.to_ascii_lowercase();
    let is_meant = |known: &&Checkpoint| {
        is_id
            && known.stream.file.to_string().starts_with(&digits)
            && generation.is_none_or(|generation| known.stream.generation == generation)
    };
    let meant: Vec<&Checkpoint> = all.iter().filter(is_meant).collect();
    let Some(first) = meant.first().copied() else {
        bail!("nothing is known of {which}\nhint: `logdrive checkpoints list` shows what there is");
    };
    if meant.iter().any(|known| known.stream.file != first.stream.file) {
        return Err(Usage(format!("{which} may be one of {} files; give more digits", meant.len())).into());
    }
    Ok(meant.into_iter().max_by_key(|known| known.stream.generation).unwrap_or(first))
}

#[cfg(test)]
mod tests {
    use super::choose;
    use crate::record::{Checkpoint, FileId, Head, Place, Stream, TailMark};

    fn known(file: u128, generation: u32, path: &str, updated_ms: i64) -> Checkpoint {
        Checkpoint {
            stream: Stream { file: FileId(file << 96), generation },
            task: "t".into(),
            offset: 0,
            mark: TailMark::default(),
            path: path.into(),
            place: Place::default(),
            head: Head::default(),
            cuts: Vec::new(),
            unpacked: None,
            updated_ms,
        }
    }

    #[test]
    fn a_file_is_meant_by_its_path_or_by_the_first_digits_of_its_identity() {
        let all = [known(0x3f2a_9c01, 0, "/a", 5), known(0x3f2a_9c01, 2, "/b", 4), known(0x3f2b_0000, 0, "/a", 9)];
        let chosen = |which| choose(&all, which).map(|known| (known.path.to_str().expect("text"), known.updated_ms));
        assert_eq!(chosen("/a").expect("known"), ("/a", 9));
        assert_eq!(chosen("3f2a").expect("known"), ("/b", 4));
        assert_eq!(chosen("3F2A9C01.0").expect("known"), ("/a", 5));
        assert!(chosen("3f2").expect_err("too short").to_string().contains("checkpoints list"));
        let several = [known(0x3f2a_9c01, 0, "/a", 5), known(0x3f2a_9c02, 0, "/c", 5)];
        assert!(choose(&several, "3f2a9c0").expect_err("two").to_string().contains("give more digits"));
    }
}
