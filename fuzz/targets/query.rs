//! Reading a question never panics, says where it went wrong, and what is understood is written as text that reads
//! back as the same question.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logdrive::store;

fuzz_target!(|text: &str| {
    let now = jiff::Timestamp::from_second(1_718_445_600).expect("in range").to_zoned(jiff::tz::TimeZone::UTC);
    match store::parse(text, &now) {
        Ok(query) => {
            let printed = store::print(&query);
            assert_eq!(store::parse(&printed, &now), Ok(query), "{printed:?}");
        }
        Err(error) => {
            assert!(text.get(error.span.clone()).is_some(), "{error:?}");
        }
    }
});
