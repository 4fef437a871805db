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
