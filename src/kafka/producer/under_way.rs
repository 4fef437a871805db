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
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DeliveryResult},
    types::RDKafkaErrorCode as Code,
};

use super::{
    Delivered, Outgoing, Placed,
    desk::{Desk, lock},
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
    /// Hands something to librdkafka; gives back what of it is not taken.
    pub(super) fn produce(&self, client: &Client<T>, number: u64, mut outgoing: Outgoing<T>) -> Produced<T> {
        let meters = self.meters(&outgoing.topic);
        if !outgoing.pieces.is_none() {
            return self.produce_pieces(client, number, outgoing, meters);
        }
        let (value, counted) = (std::mem::take(&mut outgoing.value), Arc::clone(&meters));
        let copied = outgoing
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (name, value)| all.insert(Header { key: name, value: Some(value) }));
        let (topic, key) = (Arc::clone(&outgoing.topic), outgoing.key.clone());
        // A topic that was made anew may have fewer partitions; one that isn't there would be waited for in vain.
        let partition = outgoing.partition.map(|partition| self.partitions.fold(&topic, partition));
        let under_way = Arc::new(UnderWay::new(number, outgoing, meters));
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

    fn produce_pieces(
        &self,
        client: &Client<T>,
        number: u64,
        outgoing: Outgoing<T>,
        meters: Arc<Meters>,
    ) -> Produced<T> {
        if !self.room.take(&outgoing.pieces, &outgoing.value) {
            return Produced::Back(Code::QueueFull, outgoing);
        }
        let partition = outgoing.partition.map(|partition| self.partitions.fold(&outgoing.topic, partition));
        meters.inside.fetch_add(1, Ordering::AcqRel);
        meters.sent.increment(1);
        meters.sent_bytes.increment(outgoing.value.len() as u64);
        let under_way = Arc::new(UnderWay::new(number, outgoing, meters));
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
        match report {
            Ok(message) => {
                meters.note_acknowledged(sent_at);
                let placed = Placed { partition: message.partition(), offset: message.offset() };
                Produced::Answered(Delivered { ticket: outgoing.ticket, result: Ok(placed) })
            }
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
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
    fn new(number: u64, outgoing: Outgoing<T>, meters: Arc<Meters>) -> Self {
        let placed = Mutex::new(Placed { partition: -1, offset: -1 });
        Self { number, outgoing, sent_at: Instant::now(), meters, refused: Mutex::default(), placed }
    }

    /// Notes the report for one of the pieces.
    pub(super) fn note(&self, report: &DeliveryResult<'_>) {
        match report {
            Ok(message) => {
                *lock(&self.placed) = Placed { partition: message.partition(), offset: message.offset() };
            }
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
                let index = many::index_of(&self.outgoing, message.payload());
                lock(&self.refused).push((index, code));
            }
        }
    }
}
