//! Single lines that no broker takes: a long one is cut into marked parts, any other is offered again in a while.

use std::{path::PathBuf, sync::Arc};

use serde::Deserialize;
use tracing::{error, warn};

use super::belt::{Belt, Ticket};
use crate::{
    batcher::{
        Share,
        frame::Segment,
        lines::{self, Halves, Line, Value},
    },
    kafka::{Failed, KafkaError, Outgoing},
    metrics::{self, list},
    record::{Piece, Pieces, Span, Stream, TailMark},
};

impl Belt {
    /// Settles what was taken of a set of lines, and sends what was not, a record each.
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
                    metrics::counter(&list::READ_LINES, &[&task]).increment(1);
                    metrics::counter(&list::CUT_LINES, &[&task, "too_large"]).increment(2);
                    share.shares[0].lines += 1;
                    warn!(
                        topic = %record.topic, task = %task, file = %place.path.display(), offset = place.offset,
                        "a line is too large for kafka and is sent in parts"
                    );
                    self.send(like(&record, buffer, pieces, share)).await;
                }
                None => {
                    error!(
                        %error, task = %task, file = %place.path.display(), offset = place.offset,
                        "kafka refuses a record that can't be made smaller; it is offered again every 30 s"
                    );
                    let (buffer, pieces) = alone(&record, piece);
                    self.offer_later(like(&record, buffer, pieces, share));
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
        let (lines, text_bytes) = (lines.min(whole.lines), (value.len() as u64).min(whole.text_bytes));
        whole.lines -= lines;
        whole.text_bytes -= text_bytes;
        let shares = vec![Share { task: Arc::clone(&whole.task), lines, text_bytes }];
        let permit = self.permit.split(value.len());
        Ticket { account: Arc::clone(&self.account), shares, permit }
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

/// The record of `piece` in a buffer of its own.
fn alone(record: &Outgoing<()>, piece: &Piece) -> (Vec<u8>, Pieces) {
    let mut buffer = record.pieces.value(piece, &record.value).to_vec();
    let value = 0..buffer.len() as u32;
    // So that no header's value begins where the record's does.
    buffer.push(b'\n');
    let headers = record.pieces.headers_of(piece, &record.value).map(|(name, value)| {
        let start = buffer.len() as u32;
        buffer.extend_from_slice(value);
        (name, start..buffer.len() as u32)
    });
    let headers: Vec<_> = headers.collect();
    let key = record.pieces.key(piece, &record.value).map_or(0..0, |key| {
        let start = buffer.len() as u32;
        buffer.extend_from_slice(key);
        start..buffer.len() as u32
    });
    let each = vec![Piece { value, key, headers: 0..headers.len() as u32 }];
    (buffer, Pieces { each, headers })
}

/// What is sent in the place of `record`, or of one of its pieces.
fn like(record: &Outgoing<()>, value: Vec<u8>, pieces: Pieces, ticket: Ticket) -> Outgoing<Ticket> {
    let (topic, partition) = (Arc::clone(&record.topic), record.partition);
    Outgoing { topic, partition, key: None, value, headers: Vec::new(), pieces, ticket }
}
