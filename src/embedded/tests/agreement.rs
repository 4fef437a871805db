//! The store's answers and the plain definition of them, [`store::matches`], agree on random documents and questions.

use std::cmp::Reverse;

use jiff::Timestamp;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use crate::{
    record::Level,
    store::{
        self, Expr, Page, Query, Store,
        query::{Compare, Scalar, Test, Text},
        words,
    },
};

const SECOND: i64 = 1_790_000_000;
const NAMES: [&str; 16] = [
    "message",
    "log.level",
    "log.file.path",
    "log.offset",
    "host.name",
    "logdrive.task",
    "user.name",
    "status",
    "secure",
    "tags",
    "kubernetes",
    "kubernetes.pod",
    "kubernetes.pod.name",
    "started",
    "a\\b",
    "x..y",
];

fn word() -> impl Strategy<Value = String> {
    let long = |tail: &str| format!("{}{tail}", "long".repeat(80));
    prop_oneof![
        6 => select(vec!["GET", "get", "Timeout", "time", "api", "v1", "users", "Größe", "ΟΔΟΣ", "İx", "error_1", "10"]).prop_map(str::to_owned),
        1 => select(vec![long("A"), long("b"), long("bc"), "long".repeat(64), "long".repeat(63)]),
    ]
}

fn text() -> impl Strategy<Value = String> {
    vec((word(), select(vec![" ", "/", ": ", "", ".", "\n", "*"])), 0..6)
        .prop_map(|parts| parts.into_iter().flat_map(|(word, gap)| [word, gap.to_owned()]).collect())
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0_i64..20, select(vec![0, 1, 999_999_999]))
        .prop_map(|(second, nano)| Timestamp::new(SECOND + second, nano).expect("within the range"))
}

fn number() -> impl Strategy<Value = f64> {
    select(vec![
        0.0,
        -0.0,
        1.0,
        200.0,
        404.0,
        404.5,
        -7.0,
        1e300,
        9_007_199_254_740_993.0,
        12_345_678_901_234_567_890.0,
    ])
}

fn scalar_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number().prop_map(Value::from),
        select(vec![
            json!(404),
            json!(u64::MAX),
            json!(-7),
            json!("404"),
            json!("true"),
            json!("WARN"),
            json!("error"),
            json!("")
        ]),
        text().prop_map(Value::from),
        (text(), select(vec!["x".repeat(1_020), "x".repeat(1_024), "x".repeat(3_000)]), text())
            .prop_map(|(begin, middle, end)| Value::from(format!("{begin}{middle}{end}"))),
        time().prop_map(|time| Value::from(time.to_string())),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let list = vec(prop_oneof![4 => scalar_value(), 1 => Just(json!({})), 1 => Just(json!({"in": 1}))], 0..4);
    prop_oneof![6 => scalar_value(), 1 => list.prop_map(Value::from)]
}

fn pod() -> impl Strategy<Value = Value> {
    prop_oneof![
        value(),
        Just(json!({})),
        value().prop_map(|name| json!({ "pod.name": name })),
        value().prop_map(|name| json!({ "pod": { "name": name } })),
        value().prop_map(|pod| json!({ "pod": pod })),
    ]
}

fn document() -> impl Strategy<Value = Map<String, Value>> {
    let message = prop_oneof![8 => text().prop_map(Value::from), 1 => value()];
    let level = prop_oneof![3 => select(vec!["info", "warn", "error", "loud"]).prop_map(Value::from), 1 => value()];
    let path = select(vec!["/var/log/a.log", "/var/log/B.log", "/srv/Größe"]);
    let others = vec(
        (select(vec!["host.name", "user.name", "status", "secure", "tags", "started", "a\\b", "x..y"]), value()),
        0..4,
    );
    (time(), message, prop::option::of(level), prop::option::of(path), 0_u64..50, prop::option::of(pod()), others)
        .prop_map(|(time, message, level, path, offset, pod, others)| {
            let mut document = Map::new();
            document.insert("@timestamp".to_owned(), time.to_string().into());
            document.insert("message".to_owned(), message);
            document.extend(level.map(|level| ("log.level".to_owned(), level)));
            if let Some(path) = path {
                document.insert("log.file.path".to_owned(), path.into());
                document.insert("log.offset".to_owned(), offset.into());
            }
            document.extend(pod.map(|pod| ("kubernetes".to_owned(), pod)));
            document.extend(others.into_iter().map(|(name, value)| (name.to_owned(), value)));
            document
        })
}

fn compare() -> impl Strategy<Value = Compare> {
    select(vec![Compare::Eq, Compare::Lt, Compare::Le, Compare::Gt, Compare::Ge])
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        2 => number().prop_map(Scalar::Number),
        1 => Just(Scalar::Number(f64::NAN)),
        1 => (0_u64..50).prop_map(|offset| Scalar::Number(offset as f64 + 0.5)),
        1 => text().prop_map(Scalar::Word),
        1 => time().prop_map(|time| Scalar::Word(time.to_string())),
        1 => Just(Scalar::Word("2026-09-21".to_owned())),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    let is = prop_oneof![
        text(),
        select(vec!["404", "404.0", "-0", "1e300", "nan", "TRUE", "Warn", "", "inf", "12", "/VAR/log/a.log"])
            .prop_map(str::to_owned),
        (text(), select(vec![1_020, 1_024, 3_000]), text()).prop_map(|(a, x, b)| format!("{a}{}{b}", "X".repeat(x))),
        time().prop_map(|time| time.to_string()),
    ];
    let glob = vec(prop_oneof![Just("*".to_owned()), word(), Just("x".to_owned()), Just("/".to_owned())], 0..5);
    prop_oneof![
        Just(Test::Exists),
        is.prop_map(Test::Is),
        glob.prop_map(|parts| Test::Glob(parts.concat())),
        select(vec!["*", "**", "4*", "/var/*", "*.log", "*x*", "2026-*"]).prop_map(|glob| Test::Glob(glob.to_owned())),
        (compare(), scalar()).prop_map(|(compare, scalar)| Test::Compare(compare, scalar)),
        (scalar(), scalar()).prop_map(|(low, high)| Test::Range(low, high)),
        (compare(), select(&Level::ALL[..])).prop_map(|(compare, level)| Test::Level(compare, level)),
    ]
}

fn part() -> impl Strategy<Value = String> {
    (text(), 0_usize..5, 0_usize..5).prop_map(|(text, front, back)| {
        let chars: Vec<char> = words::lower_text(&text).chars().collect();
        chars.iter().skip(front).take(chars.len().saturating_sub(front + back)).collect()
    })
}

fn leaf() -> impl Strategy<Value = Expr> {
    let lower = || vec(word().prop_map(|word| words::lower_text(&word)), 1..4);
    let prefix = (lower(), 0_usize..4).prop_map(|(mut words, kept)| {
        let last = words.last_mut().expect("one at least");
        if let Some((end, _)) = last.char_indices().nth(kept + 1) {
            last.truncate(end);
        }
        Expr::Text(Text::Prefix(words))
    });
    prop_oneof![
        1 => Just(Expr::All),
        3 => lower().prop_map(|words| Expr::Text(Text::Phrase(words))),
        2 => prefix,
        2 => part().prop_map(|part| Expr::Text(Text::Contains(part))),
        10 => (select(&NAMES[..]), test()).prop_map(|(name, test)| Expr::Field { name: name.to_owned(), test }),
        1 => test().prop_map(|test| Expr::Field { name: "@timestamp".to_owned(), test }),
    ]
}

fn query() -> impl Strategy<Value = Query> {
    let expr = leaf().prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(Expr::And),
            vec(inner.clone(), 1..4).prop_map(Expr::Or),
            inner.prop_map(|expr| Expr::Not(Box::new(expr))),
        ]
    });
    let end = || prop::option::weighted(0.2, time());
    (expr, end(), end()).prop_map(|(expr, since, until)| Query { expr, since, until })
}

type Key = (Reverse<Timestamp>, String, Reverse<u64>);

fn key(document: &Map<String, Value>) -> Key {
    let time = document["@timestamp"].as_str().and_then(|time| time.parse().ok()).expect("a time");
    let path = document.get("log.file.path").and_then(Value::as_str).unwrap_or_default();
    let offset = document.get("log.offset").and_then(Value::as_u64).unwrap_or_default();
    (Reverse(time), path.to_owned(), Reverse(offset))
}

/// Documents with the same time, path and offset would share a place in the order, and a page could end between them.
fn with_places_of_their_own(mut documents: Vec<Map<String, Value>>) -> Vec<Map<String, Value>> {
    documents.sort_by_key(key);
    documents.dedup_by_key(|document| key(document));
    documents
}

async fn check(store: &super::Embedded, query: &Query, documents: &[Map<String, Value>]) -> Result<(), TestCaseError> {
    let expected: Vec<_> = documents.iter().filter(|document| store::matches(query, document)).cloned().collect();
    let total = store.count(query).await.map_err(|error| TestCaseError::fail(error.to_string()))?;
    let (mut found, mut page) = (Vec::new(), Page { limit: 7, after: None });
    loop {
        let answer = store.find(query, &page).await.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(answer.total, total);
        found.extend(answer.hits.into_iter().map(|hit| hit.source));
        let Some(next) = answer.next else { break };
        page.after = Some(next);
    }
    prop_assert_eq!(&found, &expected);
    prop_assert_eq!(total.count, expected.len() as u64);
    let histogram = store.histogram(query, 10).await.map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(histogram.buckets.iter().map(|bucket| bucket.count).sum::<u64>(), total.count);
    prop_assert!(histogram.buckets.len() <= 10);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        // A case is a store and forty questions.
        cases: ProptestConfig::default().cases / 16,
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    })]

    #[test]
    fn answers_are_those_of_the_plain_definition(
        documents in vec(document(), 0..60),
        queries in vec(query(), 40),
    ) {
        let documents = with_places_of_their_own(documents);
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = super::open(dir.path());
        for part in documents.chunks(25) {
            for document in part {
                super::add(&mut writer, &Value::from(document.clone()));
            }
            writer.commit().expect("it is committed");
        }
        let store = writer.embedded().expect("it opens");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        for query in &queries {
            runtime.block_on(check(&store, query, &documents)).map_err(|error| match error {
                TestCaseError::Fail(why) => TestCaseError::fail(format!("{why}\n{query:?}")),
                reject => reject,
            })?;
        }
    }
}
