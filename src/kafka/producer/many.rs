//! Many records into librdkafka with one call, without a copy. Besides `headers.rs`, the one place of the room with
//! `unsafe` code.
//!
//! The `rdkafka` crate hands over one record a call and has librdkafka copy it. Here a set of records goes in with
//! `rd_kafka_produce_batch`, or, since that takes no headers, with one `rd_kafka_produceva` each; either way librdkafka
//! refers to the set's buffer. What makes it sound:
//!
//! - **Each record carries a reference to the [`UnderWay`] that owns the buffer**, as the `Arc` that the crate turns
//!   back from the record's opaque pointer when it reports it. The buffer is neither moved nor changed while such a
//!   reference lives, because an `Arc`'s content can't be, so it outlives every record in librdkafka. A record that is
//!   never reported (a client that is torn down) leaks its reference and with it the buffer; it never dangles.
//! - **A reference is made right before its record is handed over, and taken back if that is refused.** So there are
//!   as many as librdkafka has records.

use std::{ffi::CString, os::raw::c_void, ptr, sync::Arc};

use rdkafka::{
    bindings::{
        rd_kafka_error_code, rd_kafka_error_destroy, rd_kafka_message_t, rd_kafka_produce_batch, rd_kafka_produceva,
        rd_kafka_t, rd_kafka_topic_destroy, rd_kafka_topic_new, rd_kafka_topic_t, rd_kafka_vtype_t as Kind,
        rd_kafka_vu_s__bindgen_ty_1 as Content, rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 as Memory,
        rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_2 as HeaderContent, rd_kafka_vu_t,
    },
    producer::Producer as _,
    types::{RDKafkaErrorCode as Code, RDKafkaRespErr},
    util::IntoOpaque,
};

use super::{Outgoing, reports::Client, under_way::UnderWay};
use crate::record::Piece;

/// How many records go into one call.
const CALL_RECORDS_MAX: usize = 1024;

/// The partition that leaves the choice to librdkafka.
const UNASSIGNED: i32 = -1;

/// A topic as librdkafka knows it, as long as this lives.
struct Topic(*mut rd_kafka_topic_t);

/// Hands the pieces of `under_way` to the client. Returns those that it did not take, by their index, and why; nothing
/// more will be heard of them. In the partition the others are in order; if the queue gets full, it is full for all
/// that follow, and if the first of the partition is among them, it is full behind that one.
pub(super) fn produce<T: Send + Sync + 'static>(
    client: &Client<T>,
    partition: Option<i32>,
    under_way: &Arc<UnderWay<T>>,
) -> Vec<(u32, Code)> {
    let outgoing = &under_way.outgoing;
    let pieces = &outgoing.pieces.each;
    let all = |code: Code| (0..pieces.len() as u32).map(|index| (index, code)).collect();
    let Ok(name) = CString::new(&*outgoing.topic) else { return all(Code::InvalidTopic) };
    let native = client.client().native_ptr();
    // SAFETY: the client lives as long as `client`, the name is a C string that librdkafka copies, and no
    // configuration means the default one.
    let topic = Topic(unsafe { rd_kafka_topic_new(native, name.as_ptr(), ptr::null_mut()) });
    if topic.0.is_null() {
        return all(Code::InvalidTopic);
    }
    let partition = partition.unwrap_or(UNASSIGNED);
    let (mut refused, mut done) = (Vec::new(), 0);
    let at_once = match (under_way.first_of, outgoing.pieces.headers.is_empty()) {
        (None, true) => CALL_RECORDS_MAX,
        _ => 1,
    };
    for pieces in pieces.chunks(at_once) {
        let before = refused.len();
        let mut refuse = |at: usize, code: Code| refused.push(((done + at) as u32, code));
        if outgoing.pieces.headers.is_empty() {
            produce_plain(&topic, partition, under_way, pieces, refuse);
        } else if let Err(code) = produce_one(native, &topic, partition, under_way, &pieces[0]) {
            refuse(0, code);
        }
        done += pieces.len();
        let is_full = refused.last().is_some_and(|(_, code)| *code == Code::QueueFull);
        let is_first_taken = under_way.first_of.is_some() && refused.len() == before;
        if is_full || is_first_taken {
            break;
        }
    }
    // What follows must not overtake it.
    refused.extend((done..pieces.len()).map(|index| (index as u32, Code::QueueFull)));
    refused
}

/// The index of the piece whose value is `payload`, which librdkafka reported: it refers to the buffer.
pub(super) fn index_of<T>(outgoing: &Outgoing<T>, payload: Option<&[u8]>) -> u32 {
    let at = payload.map_or(0, |payload| payload.as_ptr().addr().wrapping_sub(outgoing.value.as_ptr().addr()));
    let found = outgoing.pieces.each.binary_search_by_key(&at, |piece| piece.value.start as usize);
    debug_assert!(found.is_ok(), "librdkafka reports what it was given");
    found.unwrap_or(0) as u32
}

/// Hands over pieces without headers.
fn produce_plain<T: Send + Sync + 'static>(
    topic: &Topic,
    partition: i32,
    under_way: &Arc<UnderWay<T>>,
    pieces: &[Piece],
    mut refuse: impl FnMut(usize, Code),
) {
    let outgoing = &under_way.outgoing;
    let mut messages: Vec<rd_kafka_message_t> = pieces
        .iter()
        .map(|piece| {
            let value = outgoing.pieces.value(piece, &outgoing.value);
            let key = outgoing.pieces.key(piece, &outgoing.value);
            rd_kafka_message_t {
                err: RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR,
                rkt: ptr::null_mut(),
                partition,
                payload: value.as_ptr().cast_mut().cast(),
                len: value.len(),
                key: key.map_or(ptr::null(), <[u8]>::as_ptr).cast_mut().cast(),
                key_len: key.map_or(0, <[u8]>::len),
                offset: 0,
                _private: Arc::clone(under_way).into_ptr(),
            }
        })
        .collect();
    // SAFETY: the topic lives, and there are as many messages as is said. librdkafka writes to them (`err`) only during
    // the call, copies keys, and only reads payloads, which live as long as the reference in `_private` does. No flag, so
    // it neither copies nor frees these.
    unsafe { rd_kafka_produce_batch(topic.0, partition, 0, messages.as_mut_ptr(), messages.len() as i32) };
    for (at, message) in messages.iter().enumerate() {
        if message.err != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            take_back::<T>(message._private);
            refuse(at, message.err.into());
        }
    }
}

/// Hands over one piece with its headers, which librdkafka copies.
fn produce_one<T: Send + Sync + 'static>(
    native: *mut rd_kafka_t,
    topic: &Topic,
    partition: i32,
    under_way: &Arc<UnderWay<T>>,
    piece: &Piece,
) -> Result<(), Code> {
    let outgoing = &under_way.outgoing;
    let value = outgoing.pieces.value(piece, &outgoing.value);
    let names: Vec<(CString, &[u8])> = outgoing
        .pieces
        .headers_of(piece, &outgoing.value)
        .map(|(name, value)| Ok((CString::new(name).map_err(|_| Code::InvalidRecord)?, value)))
        .collect::<Result<_, Code>>()?;
    let opaque = Arc::clone(under_way).into_ptr();
    let memory = Memory { ptr: value.as_ptr().cast_mut().cast(), size: value.len() };
    let mut arguments = vec![
        rd_kafka_vu_t { vtype: Kind::RD_KAFKA_VTYPE_RKT, u: Content { rkt: topic.0 } },
        rd_kafka_vu_t { vtype: Kind::RD_KAFKA_VTYPE_PARTITION, u: Content { i32_: partition } },
        rd_kafka_vu_t { vtype: Kind::RD_KAFKA_VTYPE_VALUE, u: Content { mem: memory } },
        rd_kafka_vu_t { vtype: Kind::RD_KAFKA_VTYPE_MSGFLAGS, u: Content { i: 0 } },
        rd_kafka_vu_t { vtype: Kind::RD_KAFKA_VTYPE_OPAQUE, u: Content { ptr: opaque } },
    ];
    if let Some(key) = outgoing.pieces.key(piece, &outgoing.value) {
        let memory = Memory { ptr: key.as_ptr().cast_mut().cast(), size: key.len() };
        arguments.push(rd_kafka_vu_t { vtype: Kind::RD_KAFKA_VTYPE_KEY, u: Content { mem: memory } });
    }
    arguments.extend(names.iter().map(|(name, value)| {
        let header = HeaderContent { name: name.as_ptr(), val: value.as_ptr().cast(), size: value.len() as isize };
        rd_kafka_vu_t { vtype: Kind::RD_KAFKA_VTYPE_HEADER, u: Content { header } }
    }));
    // SAFETY: the client and the topic live, there are as many arguments as is said, and each has the member of the
    // union that its kind stands for. The key and names and values of headers are copied during the call. The payload
    // is only read, and lives as long as the reference in the opaque pointer does; no flag makes librdkafka copy or free it.
    let error = unsafe { rd_kafka_produceva(native, arguments.as_ptr(), arguments.len()) };
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: it is not null, so it is an error that is ours to free, once.
    let code = unsafe {
        let code = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
        code
    };
    take_back::<T>(opaque);
    Err(code.into())
}

/// Drops the reference of a record that librdkafka did not take.
fn take_back<T: Send + Sync + 'static>(opaque: *mut c_void) {
    // SAFETY: it was made by `into_ptr` of the same type, and since the record was refused nobody else takes it back.
    drop(unsafe { <Arc<UnderWay<T>> as IntoOpaque>::from_ptr(opaque) });
}

impl Drop for Topic {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: it came from `rd_kafka_topic_new`, and this is the one time that it is given back. librdkafka
            // keeps the topic itself as long as records of it are under way.
            unsafe { rd_kafka_topic_destroy(self.0) };
        }
    }
}
