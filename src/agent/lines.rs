//! Single lines that no broker takes together: a long one is cut into marked parts, any other is sent alone.
//!
//! A refusal names a request, and with it the good neighbours of what is bad. So nobody is judged in company: only a line
//! that is refused alone becomes a dead letter.

use std::{path::PathBuf, sync::Arc};

use serde::Deserialize;
use tracing::warn;

use super::{
    belt::{Belt, Ticket},
    letters::Trial,
};
use crate::{
    batcher::{
        Share,
        frame::Segment,
        lines::{self, Halves, Line, Value},
    },
    kafka::{Failed, KafkaError, Outgoing},
    letter::Stood,
    metrics::{self, list},
    record::{Piece, Pieces, Span, Stream, TailMark},
};

impl Belt {
    /// Settles what was taken of a set of lines, and sends what was not, each in a request of its own.
    pub(super) async fn lines_failed(&mut self, ticket: Ticket, failed: Failed) {
        let Failed { error, record } = failed;
        metrics::counter(&list::PRODUCE_RETRIES, &[&record.topic, error.kind()]).increment(1);
        // All of a set of single lines are of one task.
        let Some(task) = ticket.shares.first().map(|share| Arc::clone(&share.task)) else { return };
        let style = self.style(&task).unwrap_or_default();
        let mut rest = ticket;
        for piece in &record.pieces.each {
            let mut share = rest.share(record.pieces.value(piece, &record.value), style.value);
            let place = self.place(&record, piece, style.value, &rest.account.spans);
            let halves = match error {
                KafkaError::TooLarge { .. } => lines::cut(&record.value, &record.pieces, piece, style),
                _ => None,
            };
            match halves {
                Some(Halves { buffer, pieces }) => {
                    // Parts of a line that was one until now count as those that the reader makes.
                    share.shares[0].held.cut_one();
                    metrics::counter(&list::CUT_LINES, &[&task, "too_large"]).increment(2);
                    warn!(
                        topic = %record.topic, task = %task, file = %place.path.display(), offset = place.offset,
                        "a line is too large for kafka and is sent in parts"
                    );
                    self.send(like(&record, buffer, pieces, share)).await;
                }
                None => {
                    // Whether it is this line that is refused is known only when nothing else is in its request.
                    let (host, file) = (self.letters.host.clone(), place.path.display().to_string());
                    let stood = Stood { host, task: task.to_string(), file, file_offset: place.offset };
                    share.trial = Some(Box::new(Trial::Alone(stood)));
                    self.send(alone(&record, piece, share)).await;
                }
            }
        }
        self.acknowledged(rest);
    }

    /// Where the line of `piece` stands: what its record says, or else where what was sent with it begins.
    fn place(&self, record: &Outgoing<()>, piece: &Piece, kind: Value, spans: &[Span<Stream, TailMark>]) -> Place {
        let (pieces, buffer) = (&record.pieces, &record.value);
        let value = pieces.value(piece, buffer);
        let header =
            |wanted: &str| pieces.headers_of(piece, buffer).find(|(name, _)| *name == wanted).map(|(_, at)| at);
        if let Ok(Line::Raw(meta) | Line::Json(meta, _)) = lines::decode(header, value, &mut Vec::new())
            && let Some(Segment { path, offset, .. }) = meta.segments.into_iter().next()
        {
            return Place { path, offset };
        }
        let of_span = |span: &Span<Stream, TailMark>| {
            Some(Place { path: self.keeper.path(span.source)?.to_owned(), offset: span.start })
        };
        let json = if kind == Value::Json { serde_json::from_slice(value).ok() } else { None };
        json.or_else(|| spans.iter().find_map(of_span)).unwrap_or_default()
    }
}

impl Ticket {
    /// Parts with what stands for one record, whose value is `value`; the sum stays what it was.
    fn share(&mut self, value: &[u8], kind: Value) -> Ticket {
        let lines = match kind {
            Value::Raw => value.iter().filter(|byte| **byte == b'\n').count() as u64 + 1,
            Value::Json => 1,
        };
        let whole = &mut self.shares[0];
        let held = whole.held.split(lines, value.len() as u64);
        let shares = vec![Share { task: Arc::clone(&whole.task), held }];
        let permit = self.permit.split(value.len());
        Ticket { account: Arc::clone(&self.account), shares, permit, trial: None }
    }
}

/// Where a line stands in its file; as a JSON value says it.
#[derive(Default, Deserialize)]
struct Place {
    #[serde(rename = "log.file.path")]
    path: PathBuf,
    #[serde(rename = "log.offset")]
    offset: u64,
}

/// The record of `piece` as one that is no piece, which goes to Kafka in a request of its own.
fn alone(record: &Outgoing<()>, piece: &Piece, ticket: Ticket) -> Outgoing<Ticket> {
    let (pieces, buffer) = (&record.pieces, &record.value);
    Outgoing {
        topic: Arc::clone(&record.topic),
        partition: record.partition,
        key: pieces.key(piece, buffer).map(<[u8]>::to_vec),
        value: pieces.value(piece, buffer).to_vec(),
        headers: pieces.headers_of(piece, buffer).map(|(name, value)| (name, value.to_vec())).collect(),
        pieces: Pieces::default(),
        ticket,
    }
}

/// What is sent in the place of `record`, or of one of its pieces.
fn like(record: &Outgoing<()>, value: Vec<u8>, pieces: Pieces, ticket: Ticket) -> Outgoing<Ticket> {
    let (topic, partition) = (Arc::clone(&record.topic), record.partition);
    Outgoing { topic, partition, key: None, value, headers: Vec::new(), pieces, ticket }
}
