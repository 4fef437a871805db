//! What librdkafka has and did not report yet: how it gets there, and what became of it.
//!
//! A set of pieces is reported piece by piece. Each of its records refers to one [`UnderWay`], and the last report
//! closes it.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Instant,
};

use rdkafka::{
    Message,
    message::{BorrowedMessage, Header, OwnedHeaders},
    producer::{BaseRecord, DeliveryResult},
    types::RDKafkaErrorCode as Code,
};

use super::{
    Delivered, Outgoing, Placed,
    desk::{Desk, lock},
    firsts::Turn,
    held::Held,
    many,
    meters::Meters,
    reports::Client,
};
use crate::kafka::KafkaError;

/// What librdkafka has and did not report yet. Each of its records refers to this.
pub(super) struct UnderWay<T> {
    pub(super) number: u64,
    /// Its value is empty if it is one record, which librdkafka has a copy of.
    pub(super) outgoing: Outgoing<T>,
    sent_at: Instant,
    pub(super) meters: Arc<Meters>,
    /// The partition whose first record it is.
    pub(super) first_of: Option<i32>,
    /// The pieces that were not taken, by their index, and why.
    refused: Mutex<Vec<(u32, Code)>>,
    /// Where the last piece is that was.
    placed: Mutex<Placed>,
}

/// What became of something that was handed to librdkafka.
pub(super) enum Produced<T> {
    /// Reports will come.
    UnderWay,
    /// It is not taken, or what is in it is all that was not.
    Back(Code, Outgoing<T>),
    /// All of it was reported already.
    Answered(Delivered<T>),
}

impl<T: Send + Sync + 'static> Desk<T> {
    /// The partition that something goes to; none leaves the choice to librdkafka.
    pub(super) fn partition_of(&self, outgoing: &Outgoing<T>) -> Option<i32> {
        // A topic that was made anew may have fewer partitions; one that isn't there would be waited for in vain.
        outgoing.partition.map(|partition| self.partitions.fold(&outgoing.topic, partition))
    }

    /// Hands something to librdkafka, or has it wait for its partition's first answer; gives back what of it is not taken.
    pub(super) fn hand_over(
        &self,
        held: &mut Held<T>,
        client: &Client<T>,
        number: u64,
        outgoing: Outgoing<T>,
    ) -> Produced<T> {
        let Some(partition) = self.partition_of(&outgoing) else {
            return self.produce(client, number, outgoing, None, false);
        };
        let topic = Arc::clone(&outgoing.topic);
        match held.firsts.turn(partition, number, outgoing, Instant::now()) {
            Turn::Waits => Produced::UnderWay,
            Turn::Next(outgoing) => self.produce(client, number, outgoing, Some(partition), false),
            Turn::First(outgoing) => {
                let produced = self.produce(client, number, outgoing, Some(partition), true);
                if !matches!(produced, Produced::UnderWay) {
                    // No report will come. Nothing waits for one yet.
                    held.first_answered(&topic, partition, false);
                }
                produced
            }
        }
    }

    /// Hands something to librdkafka; of pieces only one if it is the partition's first.
    fn produce(
        &self,
        client: &Client<T>,
        number: u64,
        mut outgoing: Outgoing<T>,
        partition: Option<i32>,
        is_first: bool,
    ) -> Produced<T> {
        let meters = self.meters(&outgoing.topic);
        let first_of = partition.filter(|_| is_first);
        if !outgoing.pieces.is_none() {
            return self.produce_pieces(client, partition, UnderWay::new(number, outgoing, meters, first_of));
        }
        let (value, counted) = (std::mem::take(&mut outgoing.value), Arc::clone(&meters));
        let copied = outgoing
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (name, value)| all.insert(Header { key: name, value: Some(value) }));
        let (topic, key) = (Arc::clone(&outgoing.topic), outgoing.key.clone());
        let under_way = Arc::new(UnderWay::new(number, outgoing, meters, first_of));
        let mut record = BaseRecord::with_opaque_to(&topic, under_way).payload(&value).headers(copied);
        (record.partition, record.key) = (partition, key.as_ref());
        counted.inside.fetch_add(1, Ordering::AcqRel);
        match client.send(record) {
            Ok(()) => {
                counted.sent.increment(1);
                counted.sent_bytes.increment(value.len() as u64);
                Produced::UnderWay
            }
            Err((error, record)) => {
                counted.inside.fetch_sub(1, Ordering::AcqRel);
                let code = error.rdkafka_error_code().unwrap_or(Code::InvalidRecord);
                let under_way = Arc::into_inner(record.delivery_opaque).expect("only the record referred to it");
                Produced::Back(code, Outgoing { value, ..under_way.outgoing })
            }
        }
    }

    fn produce_pieces(&self, client: &Client<T>, partition: Option<i32>, under_way: UnderWay<T>) -> Produced<T> {
        if !self.room.take(&under_way.outgoing.pieces, &under_way.outgoing.value) {
            return Produced::Back(Code::QueueFull, under_way.outgoing);
        }
        under_way.meters.inside.fetch_add(1, Ordering::AcqRel);
        under_way.meters.sent.increment(1);
        under_way.meters.sent_bytes.increment(under_way.outgoing.value.len() as u64);
        let under_way = Arc::new(under_way);
        let refused = many::produce(client, partition, &under_way);
        lock(&under_way.refused).extend(refused);
        // Nearly always records of it are under way now, and the last report closes it.
        match Arc::into_inner(under_way) {
            None => Produced::UnderWay,
            Some(under_way) => self.close(under_way),
        }
    }

    /// What became of a single record.
    pub(super) fn close_one(&self, under_way: UnderWay<T>, report: &DeliveryResult<'_>) -> Produced<T> {
        let UnderWay { outgoing, sent_at, meters, .. } = under_way;
        meters.inside.fetch_sub(1, Ordering::AcqRel);
        match outcome(report) {
            Ok(placed) => {
                meters.note_acknowledged(sent_at);
                Produced::Answered(Delivered { ticket: outgoing.ticket, result: Ok(placed) })
            }
            Err((code, message)) => {
                let value = message.payload().unwrap_or_default().to_vec();
                Produced::Back(code, Outgoing { value, ..outgoing })
            }
        }
    }

    /// What became of pieces that are all reported.
    pub(super) fn close(&self, under_way: UnderWay<T>) -> Produced<T> {
        let UnderWay { mut outgoing, sent_at, meters, refused, placed, .. } = under_way;
        meters.inside.fetch_sub(1, Ordering::AcqRel);
        self.room.give_back(&outgoing.pieces, &outgoing.value);
        let mut refused = refused.into_inner().unwrap_or_else(PoisonError::into_inner);
        if refused.is_empty() {
            meters.note_acknowledged(sent_at);
            let placed = placed.into_inner().unwrap_or_else(PoisonError::into_inner);
            return Produced::Answered(Delivered { ticket: outgoing.ticket, result: Ok(placed) });
        }
        refused.sort_unstable_by_key(|(index, _)| *index);
        // Sent again together, as long as that may help one of them. To have shared a request with what is refused for
        // good is no reason of its own: with that there, it would never end.
        let is_final = |code: Code| KafkaError::of_record(code, &outgoing.topic, 0).is_final();
        let codes = || refused.iter().map(|(_, code)| *code).filter(|code| *code != Code::InvalidDifferentRecord);
        let code = codes().find(|code| !is_final(*code)).or_else(|| codes().next()).unwrap_or(refused[0].1);
        let mut left = refused.into_iter().map(|(index, _)| index).peekable();
        let mut index = 0;
        outgoing.pieces.each.retain(|_| {
            index += 1;
            left.next_if_eq(&(index - 1)).is_some()
        });
        Produced::Back(code, outgoing)
    }
}

impl<T> UnderWay<T> {
    fn new(number: u64, outgoing: Outgoing<T>, meters: Arc<Meters>, first_of: Option<i32>) -> Self {
        let placed = Mutex::new(Placed { partition: -1, offset: -1 });
        Self { number, outgoing, sent_at: Instant::now(), meters, first_of, refused: Mutex::default(), placed }
    }

    /// Notes the report for one of the pieces.
    pub(super) fn note(&self, report: &DeliveryResult<'_>) {
        match outcome(report) {
            Ok(placed) => *lock(&self.placed) = placed,
            Err((code, message)) => {
                let index = many::index_of(&self.outgoing, message.payload());
                lock(&self.refused).push((index, code));
            }
        }
    }
}

/// Where the broker put the record of a report, or why it has none.
///
/// If a request fails and the one behind it is taken, librdkafka concludes that the broker had taken the first one too, and
/// reports it as written, without an offset. A broker that knows nothing of the producer proves it wrong (see
/// [`firsts`](super::firsts)), and what it did not take would be lost. So only a record with a place is one that was taken.
pub(super) fn outcome<'a>(report: &'a DeliveryResult<'a>) -> Result<Placed, (Code, &'a BorrowedMessage<'a>)> {
    match report {
        Ok(message) if message.offset() >= 0 => Ok(Placed { partition: message.partition(), offset: message.offset() }),
        Ok(message) => Err((Code::Inconsistent, message)),
        Err((error, message)) => Err((error.rdkafka_error_code().unwrap_or(Code::Unknown), message)),
    }
}
