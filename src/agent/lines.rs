//! Single lines that no broker takes: a long one is cut into marked parts, any other is offered again in a while.

use std::{path::PathBuf, sync::Arc};

use tracing::{error, warn};

use super::belt::{Belt, Ticket};
use crate::{
    batcher::lines::{self, Halves, Value},
    kafka::{Failed, KafkaError, Outgoing},
    metrics::{self, list},
    record::{Piece, Pieces},
};

impl Belt {
    /// Settles what was taken of a set of lines, and sends what was not, a record each.
    pub(super) async fn lines_failed(&mut self, ticket: Ticket, failed: Failed) {
        let Failed { error, record } = failed;
        metrics::counter(&list::PRODUCE_RETRIES, &[&record.topic, error.kind()]).increment(1);
        let Ticket { account, lines, text_bytes, permit } = ticket;
        let task = Arc::clone(&account.task);
        let style = self.style(&task).unwrap_or_default();
        let mut rest = Ticket { account, lines, text_bytes, permit };
        for piece in &record.pieces.each {
            let mut share = rest.share(record.pieces.value(piece, &record.value), style.value);
            let place = place(&record, piece);
            let halves = match error {
                KafkaError::TooLarge { .. } => lines::cut(&record.value, &record.pieces, piece, style),
                _ => None,
            };
            match halves {
                Some(Halves { buffer, pieces }) => {
                    // Parts of a line that was one until now count as those that the reader makes.
                    metrics::counter(&list::READ_LINES, &[&task]).increment(1);
                    metrics::counter(&list::CUT_LINES, &[&task, "too_large"]).increment(2);
                    share.lines += 1;
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
}

impl Ticket {
    /// Parts with what stands for one record, whose value is `value`; the sum stays what it was.
    fn share(&mut self, value: &[u8], kind: Value) -> Ticket {
        let lines = match kind {
            Value::Raw => value.iter().filter(|byte| **byte == b'\n').count() as u64 + 1,
            Value::Json => 1,
        };
        let (lines, text_bytes) = (lines.min(self.lines), (value.len() as u64).min(self.text_bytes));
        self.lines -= lines;
        self.text_bytes -= text_bytes;
        let permit = self.permit.split(value.len());
        Ticket { account: Arc::clone(&self.account), lines, text_bytes, permit }
    }
}

/// Where a line stands in its file, as far as its record says so.
#[derive(Default)]
struct Place {
    path: PathBuf,
    offset: u64,
}

/// Where the line of `piece` stands: what its record says, or else where the first of what was sent with it does.
fn place(record: &Outgoing<()>, piece: &Piece) -> Place {
    let (pieces, buffer) = (&record.pieces, &record.value);
    let header = |wanted: &str| pieces.headers_of(piece, buffer).find(|(name, _)| *name == wanted).map(|(_, at)| at);
    let read = lines::decode(header, pieces.value(piece, buffer), &mut Vec::new());
    let Ok(lines::Line::Raw(meta) | lines::Line::Json(meta, _)) = read else { return Place::default() };
    meta.segments
        .into_iter()
        .next()
        .map_or_else(Place::default, |segment| Place { path: segment.path, offset: segment.offset })
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
    let each = vec![Piece { value, headers: 0..headers.len() as u32 }];
    (buffer, Pieces { each, headers })
}

/// What is sent in the place of `record`, or of one of its pieces.
fn like(record: &Outgoing<()>, value: Vec<u8>, pieces: Pieces, ticket: Ticket) -> Outgoing<Ticket> {
    let (topic, partition) = (Arc::clone(&record.topic), record.partition);
    Outgoing { topic, partition, key: None, value, headers: Vec::new(), pieces, ticket }
}
