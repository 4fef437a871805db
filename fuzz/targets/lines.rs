//! Reading the record of a single message never panics, whatever its headers and its value are; what is read is what the
//! value holds and where the headers say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logdrive::batcher::{
    frame::META_HEADER,
    lines::{self, HASH_HEADER, LINES_HEADER, Line, OFFSET_HEADER, PART_HEADER},
};

/// Metadata that is nearly right: what comes from anywhere stands where a name does.
fn nearly_right(name: &str, is_json: bool, shape: u8) -> Vec<u8> {
    let name: String = name.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect();
    let charset = ["", r#","charset":"utf-16le""#, r#","charset":"latin1""#, r#","format":"cri""#][usize::from(shape % 4)];
    format!(
        r#"{{"host":"{name}","machine":"m","task":"{name}","read_at":"2026-11-20T00:00:00Z","json":{is_json},"file":"{:032x}","generation":{shape},"path":"/{name}"{charset}}}"#,
        u128::from(shape)
    )
    .into_bytes()
}

fuzz_target!(|input: (Vec<u8>, Vec<u8>, Vec<u8>, u64, Vec<u8>, u8)| {
    let (meta, part, hash, offset, value, shape) = input;
    let mut text = Vec::new();

    // Headers and value from anywhere, some of them missing.
    let number = offset.to_string().into_bytes();
    let anything = |name: &str| match name {
        LINES_HEADER => Some(if shape & 1 == 0 { &b"1"[..] } else { &meta }),
        META_HEADER => (shape & 2 == 0).then_some(&meta[..]),
        OFFSET_HEADER => (shape & 4 == 0).then_some(if shape & 8 == 0 { &number[..] } else { &hash }),
        PART_HEADER => (shape & 16 == 0).then_some(&part[..]),
        HASH_HEADER => (shape & 32 == 0).then_some(&hash[..]),
        _ => None,
    };
    let _ = lines::decode(anything, &value, &mut text);

    // Headers as ours are, with parts that may be wrong.
    let is_json = shape & 64 != 0;
    let meta = nearly_right(&String::from_utf8_lossy(&meta), is_json, shape);
    let hashed = format!("{offset:016x}").into_bytes();
    let parts = [None, Some(&b"first"[..]), Some(b"middle"), Some(b"last"), Some(&part)];
    let ours = |name: &str| match name {
        LINES_HEADER => Some(&b"1"[..]),
        META_HEADER => Some(&meta[..]),
        OFFSET_HEADER => Some(&number[..]),
        PART_HEADER => parts[usize::from(shape % 5)],
        HASH_HEADER => Some(&hashed[..]),
        _ => None,
    };
    match lines::decode(ours, &value, &mut text) {
        Ok(Line::Raw(meta)) => {
            let [segment] = &meta.segments[..] else { panic!("one message, one segment") };
            assert!(!is_json && segment.offset == offset && segment.bytes == text.len() as u64);
            assert!(text.starts_with(&value), "its bytes are those of the value");
        }
        Ok(Line::Json(meta, hash)) => {
            assert!(is_json && hash == offset && meta.segments[0].offset == offset);
            assert!(std::str::from_utf8(&text).is_ok(), "JSON brings text");
        }
        Err(_) => (),
    }
});
