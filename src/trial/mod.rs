//! What becomes of sample lines: read as the agent would read them, and made into documents as a transfer would.
//!
//! Nothing here knows how lines are split, joined or understood: a file with the lines is given to the reader, and its
//! blocks to the builder of documents. It promises to leave nothing behind, and connects to nothing. Rules that filter
//! and parse lines will stand between the two.

mod difference;
mod scratch;

use std::{path::Path, time::Duration};

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::{sync::mpsc, time::timeout};

pub use difference::{Difference, differences};

use self::scratch::Scratch;
use crate::{
    config::{Config, Key, Task},
    document::{Builder, Passage, Source},
    reader::{self, Compression, Event, Identity, Io, Reader, StartAt, Tallies},
    record::{Block, Budget},
};

/// What became of sample lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The documents, in order.
    pub documents: Vec<Value>,
    /// The topic that the lines go to.
    pub topic: String,
    /// The key of their records; none if they have none.
    pub key: Option<String>,
}

/// Sample lines may be so many bytes; they and what becomes of them are held in memory.
pub const INPUT_BYTES_MAX: usize = 16 << 20;

/// How long nothing may come of sample lines.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a last line or message waits for more, which never comes.
const SOON: Duration = Duration::from_millis(100);

/// Reads `input` as `task` would, as if it stood in the file `path`.
///
/// # Errors
/// If it is too much, or the machine refuses what is needed.
pub async fn run(config: &Config, task: &Task, path: &Path, input: &[u8]) -> anyhow::Result<Outcome> {
    if input.len() > INPUT_BYTES_MAX {
        bail!("the sample has {} bytes, more than {INPUT_BYTES_MAX}", input.len());
    }
    let at = config.agent.tasks.iter().position(|one| one.name == task.name).context("there is no such task")?;
    let topic = config.agent.topics()?[at].to_string();
    let host = config.agent.host.clone().unwrap_or_else(|| "this-host".to_owned());
    let key = task.key(&host)?.map(|key| match key {
        Key::Same(key) => String::from_utf8_lossy(&key).into_owned(),
        Key::OfFile(around) => around.join("{file}"),
    });
    let mut documents = Vec::new();
    let mut builder = Builder::new(&config.document);
    for block in read(config, task, input).await? {
        build(&mut builder, block, (path, &host, &topic), &mut documents)?;
    }
    Ok(Outcome { documents, topic, key })
}

/// The blocks that come of the input.
async fn read(config: &Config, task: &Task, input: &[u8]) -> anyhow::Result<Vec<Block>> {
    let scratch = Scratch::with(input).context("can't write the sample into a file")?;
    let mut reading = reader::Task {
        paths: vec![scratch.file().display().to_string()],
        exclude: Vec::new(),
        start_at: StartAt::Beginning,
        ignore_older: None,
        rate: None,
        compression: Compression::None,
        ..task.reader()
    };
    if let Some(multiline) = &mut reading.multiline {
        multiline.timeout = SOON;
    }
    let settings = reader::Settings {
        io: Io::Pread,
        lanes: 1,
        idle_flush: SOON,
        identity: Identity::Inode,
        rate: None,
        ..config.agent.reader()
    };
    let budget = Budget::new(8 * INPUT_BYTES_MAX);
    let (events, mut told) = mpsc::channel(64);
    let reader = Reader::start(settings, &[reading], Vec::new(), 0, &budget, &Tallies::default(), events)?;
    let (mut blocks, mut end) = (Vec::new(), 0);
    while end < input.len() as u64 {
        match timeout(PATIENCE, told.recv()).await {
            Ok(Some(Event::Block(block))) => {
                end = block.span().end;
                blocks.push(block);
            }
            Ok(Some(_)) => (),
            Ok(None) => bail!("reading the sample ended early; the log says why"),
            Err(_) => bail!("nothing came of the sample for {} s", PATIENCE.as_secs()),
        }
    }
    drop(told);
    reader.stop().await;
    Ok(blocks)
}

/// Adds the documents of a block.
fn build(
    builder: &mut Builder,
    mut block: Block,
    (path, host, topic): (&Path, &str, &str),
    documents: &mut Vec<Value>,
) -> anyhow::Result<()> {
    let source = Source {
        stream: block.origin.stream,
        path,
        host,
        task: &block.origin.task,
        labels: &block.origin.labels,
        topic,
        read_at: block.read_at,
        form: block.origin.form,
    };
    let passage = Passage { text: &mut block.text, offset: block.offset, part: block.part, messages: &block.messages };
    builder.source(&source).each(passage, &mut Vec::new(), |built, json| {
        if built.is_some() {
            documents.push(serde_json::from_slice(json).context("a document is no JSON, which is a defect")?);
        }
        Ok(())
    })
}
