//! The headers of a record that librdkafka handed over, as the bytes that they are.
//!
//! A name is text only by convention, and the `rdkafka` crate panics at one that is not UTF-8. So they are asked of
//! librdkafka itself, which is the one reason for `unsafe` code here. What makes it sound: librdkafka makes the list of
//! headers once for a message, keeps it with the message and frees it with it, and what is given out here is borrowed
//! from the message.

use std::{ffi::CStr, ptr, slice};

use rdkafka::{
    bindings::{rd_kafka_header_cnt, rd_kafka_header_get_all, rd_kafka_headers_t, rd_kafka_message_headers},
    message::BorrowedMessage,
    types::RDKafkaRespErr,
};

/// A header: its name, and its value if it has one.
pub(super) type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// The headers of `message`, in order; none, if what should be headers can't be read as such.
pub(super) fn of<'a>(message: &'a BorrowedMessage<'_>) -> impl Iterator<Item = Header<'a>> {
    let mut list = ptr::null_mut();
    // SAFETY: the message lives, and librdkafka only writes a pointer to `list`, which stays null if there are none.
    let said = unsafe { rd_kafka_message_headers(message.ptr(), &raw mut list) };
    let has_any = said == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && !list.is_null();
    // SAFETY: the list is not null, and lives as long as the message.
    let count = if has_any { unsafe { rd_kafka_header_cnt(list) } } else { 0 };
    // SAFETY: as above, and what is read is borrowed from the message.
    (0..count).map_while(move |index| unsafe { get::<'a>(list, index) })
}

/// The header `index` of a list.
///
/// # Safety
/// The list must live as long as `'a`.
unsafe fn get<'a>(list: *const rd_kafka_headers_t, index: usize) -> Option<Header<'a>> {
    let (mut name, mut value, mut bytes) = (ptr::null(), ptr::null(), 0);
    // SAFETY: the list lives, and the three pointers are to variables of ours.
    let said = unsafe { rd_kafka_header_get_all(list, index, &raw mut name, &raw mut value, &raw mut bytes) };
    if said != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
        return None;
    }
    // SAFETY: librdkafka ends a name with a NUL, and has so many bytes of a value that is not null. It changes neither as
    // long as the list lives.
    unsafe {
        let value = (!value.is_null()).then(|| slice::from_raw_parts(value.cast::<u8>(), bytes));
        Some((CStr::from_ptr(name).to_bytes(), value))
    }
}

#[cfg(test)]
mod tests {
    use std::{ptr, time::Duration};

    use rdkafka::{
        ClientConfig, Offset, TopicPartitionList,
        bindings::{
            rd_kafka_produceva, rd_kafka_vtype_t as Kind, rd_kafka_vu_s__bindgen_ty_1 as Value,
            rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_2 as HeaderValue, rd_kafka_vu_t,
        },
        consumer::{BaseConsumer, Consumer as _},
        mocking::MockCluster,
        producer::{BaseProducer, Producer as _},
    };

    const LIMIT: Duration = Duration::from_secs(60);

    fn header(name: &'static std::ffi::CStr, value: Option<&'static [u8]>) -> rd_kafka_vu_t {
        let size = value.map_or(0, |value| value.len() as isize);
        let val = value.map_or(ptr::null(), |value| value.as_ptr().cast());
        let header = HeaderValue { name: name.as_ptr(), val, size };
        rd_kafka_vu_t { vtype: Kind::RD_KAFKA_VTYPE_HEADER, u: Value { header } }
    }

    #[test]
    fn headers_are_read_as_the_bytes_that_they_are() {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("t", 1, 1).expect("a topic");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("group.id", "reads-by-hand");
        let producer: BaseProducer = config.create().expect("a producer");
        let of = |headers: &[rd_kafka_vu_t]| {
            let topic = rd_kafka_vu_t { vtype: Kind::RD_KAFKA_VTYPE_TOPIC, u: Value { cstr: c"t".as_ptr() } };
            let arguments: Vec<rd_kafka_vu_t> = std::iter::once(topic).chain(headers.iter().copied()).collect();
            // SAFETY: the client lives, there are as many arguments as is said, each has the member of the union that
            // its kind stands for, and all they point at is static.
            let error =
                unsafe { rd_kafka_produceva(producer.client().native_ptr(), arguments.as_ptr(), arguments.len()) };
            assert!(error.is_null());
        };
        of(&[header(c"\xff", Some(b"\0\xff")), header(c"", Some(b"")), header(c"none", None)]);
        of(&[]);
        producer.flush(LIMIT).expect("written");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", 0, Offset::Beginning).expect("an offset");
        consumer.assign(&list).expect("assigned");
        let message = consumer.poll(LIMIT).expect("there are two").expect("a record");
        let found: Vec<super::Header<'_>> = super::of(&message).collect();
        assert_eq!(found, [(&b"\xff"[..], Some(&b"\0\xff"[..])), (b"", Some(b"")), (b"none", None)]);
        let message = consumer.poll(LIMIT).expect("there are two").expect("a record");
        assert_eq!(super::of(&message).count(), 0);
    }
}
