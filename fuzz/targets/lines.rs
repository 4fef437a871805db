//! Reading the record of a single message never panics, whatever its headers and its value are; what is read is what the
//! value holds and where the headers say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logdrive::batcher::{
    frame::META_HEADER,
    lines::{self, LINE_HEADER, Line},
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

fuzz_target!(|input: (Vec<u8>, Vec<u8>, u64, Vec<u8>, u8)| {
    let (meta, line, offset, value, shape) = input;
    let mut text = Vec::new();

    // Headers and value from anywhere, some of them missing.
    let anything = |name: &str| match name {
        LINE_HEADER => (shape & 1 == 0).then_some(&line[..]),
        META_HEADER => (shape & 2 == 0).then_some(&meta[..]),
        _ => None,
    };
    let _ = lines::decode(anything, &value, &mut text);

    // Headers as ours are, with parts that may be wrong.
    let is_json = shape & 64 != 0;
    let meta = nearly_right(&String::from_utf8_lossy(&meta), is_json, shape);
    let hash = if is_json { format!(r#","hash":"{offset:016x}""#) } else { String::new() };
    let more = format!(",{}", String::from_utf8_lossy(&line));
    let part = ["", r#","part":"first""#, r#","part":"middle""#, r#","part":"last""#, &more][usize::from(shape % 5)];
    let line = format!(r#"{{"version":1,"offset":{offset}{hash}{part}}}"#).into_bytes();
    let ours = |name: &str| match name {
        LINE_HEADER => Some(&line[..]),
        META_HEADER => Some(&meta[..]),
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
