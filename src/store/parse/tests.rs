//! What texts mean, what is refused, and that printing and reading are each other's inverse.

use proptest::prelude::*;

use super::super::{
    print,
    query::{Compare, Expr, Query, Scalar, Test, Text},
};
use super::{Zoned, parse, read};
use crate::record::Level;

fn now() -> Zoned {
    "2026-11-21T10:00:00Z[UTC]".parse().unwrap()
}

/// The meaning of a text, printed.
fn meaning(text: &str) -> String {
    print(&parse(text, &now()).unwrap_or_else(|error| panic!("{text}: {error}")))
}

fn words(text: &str) -> Expr {
    Expr::Text(Text::Phrase(text.split(' ').map(str::to_owned).collect()))
}

fn field(name: &str, test: Test) -> Expr {
    Expr::Field { name: name.to_owned(), test }
}

#[test]
fn what_people_paste_needs_no_escaping() {
    for (pasted, means) in [
        ("can't connect", "\"can t\" connect"),
        ("http://example.com/a?b=c#d", "\"http example com a b c d\""),
        ("12:30:01", "\"12 30 01\""),
        ("error: disk full", "error disk full"),
        ("/tmp/", "tmp"),
        ("/var/log/*", "\"var log\""),
        ("GET /api?id=7 HTTP/1.1", "get \"api id 7\" \"http 1 1\""),
        ("java.lang.NullPointerException", "\"java lang nullpointerexception\""),
        ("linx-info", "\"linx info\""),
        ("no such file or directory", "no such file or directory"),
        ("file not found", "file not found"),
        ("user=root uid=0", "\"user root\" \"uid 0\""),
        ("std::vec::Vec", "\"std vec vec\""),
        ("C:\\Windows\\x", "\"c windows x\""),
        ("a -> b", "a b"),
        ("foo->bar", "\"foo bar\""),
        ("run --verbose", "run verbose"),
        ("a != b && c || d", "a b c d"),
        ("INFO | main | started", "info main started"),
        ("open() failed (2: No such file)", "open failed \"2\" no such file"),
        ("errno (2", "errno 2"),
        ("a) b", "a b"),
        ("5\" disk", "5 disk"),
        ("say \"hello", "say hello"),
        ("{\"status\":500,\"msg\":\"hi\"}", "\"status 500 msg hi\""),
        ("[2026-11-21T10:00:00Z] ERROR", "\"2026 11 21t10 00 00z\" error"),
        ("SELECT * FROM t", "select from t"),
        ("<a href=\"x\">", "a \"href x\""),
        ("2001:db8::1", "\"2001 db8 1\""),
    ] {
        // Whether one word needs quotes is the printer's affair; what is compared is the meaning.
        assert_eq!(parse(pasted, &now()), parse(means, &now()), "{pasted}: {}", meaning(pasted));
    }
}

#[test]
fn each_form_of_the_language_has_its_meaning() {
    let number = |n: i32| Scalar::Number(f64::from(n));
    for (text, expr) in [
        ("", Expr::All),
        ("*", Expr::All),
        ("Timeout", words("timeout")),
        ("a b", Expr::And(vec![words("a"), words("b")])),
        ("a AND (b c)", Expr::And(vec![words("a"), words("b"), words("c")])),
        ("a OR b c", Expr::Or(vec![words("a"), Expr::And(vec![words("b"), words("c")])])),
        ("-a", Expr::Not(Box::new(words("a")))),
        ("!a", Expr::Not(Box::new(words("a")))),
        ("NOT NOT a", words("a")),
        ("-(a OR b)", Expr::Not(Box::new(Expr::Or(vec![words("a"), words("b")])))),
        ("“connection refused”", words("connection refused")),
        ("time*", Expr::Text(Text::Prefix(vec!["time".to_owned()]))),
        ("*TIME*", Expr::Text(Text::Contains("time".to_owned()))),
        ("level>=warn", field("log.level", Test::Level(Compare::Ge, Level::Warn))),
        ("user.name:Bob", field("user.name", Test::Is("Bob".to_owned()))),
        ("`user`:\"x y\"", field("user", Test::Is("x y".to_owned()))),
        ("-took:*", Expr::Not(Box::new(field("took", Test::Exists)))),
        ("took>250ms", field("took", Test::Compare(Compare::Gt, Scalar::Number(250e6)))),
        ("took:<=3", field("took", Test::Compare(Compare::Le, number(3)))),
        ("code:5xx", field("code", Test::Range(number(500), number(599)))),
        ("msg:a", words("a")),
        (
            "app:(api OR web, db*)",
            Expr::Or(vec![
                field("app", Test::Is("api".to_owned())),
                field("app", Test::Is("web".to_owned())),
                field("app", Test::Glob("db*".to_owned())),
            ]),
        ),
        (
            "service:api",
            Expr::Or(vec![
                field("service.name", Test::Is("api".to_owned())),
                field("service", Test::Is("api".to_owned())),
            ]),
        ),
    ] {
        assert_eq!(parse(text, &now()).map(|query| query.expr), Ok(expr), "{text}");
    }
}

#[test]
fn a_window_holds_for_the_whole_question_wherever_it_stands() {
    let query = parse("a OR b since:1h until:2026-11-21", &now()).unwrap();
    assert_eq!(query.since, Some("2026-11-21T09:00:00Z".parse().unwrap()));
    assert_eq!(query.until, Some("2026-11-22T00:00:00Z".parse().unwrap()));
    assert_eq!(query.expr, Expr::Or(vec![words("a"), words("b")]));
    assert_eq!(parse("since:1h OR a", &now()).unwrap().expr, words("a"));
}

/// What is refused: the text, the part that the caret points at, and the first repair.
#[test]
fn what_is_refused_points_at_the_place_and_offers_a_repair() {
    for (text, at, repaired) in [
        ("a level>=wran", ">=wran", Some("a level>=warn")),
        ("a OR", "OR", Some("a")),
        ("OR a", "OR", Some("a")),
        ("a AND AND b", "AND", Some("a AND  b")),
        ("a NOT", "NOT", Some("a")),
        ("(a OR) b", "OR", Some("(a ) b")),
        ("fo*o", "fo*o", Some("fo*")),
        ("since:soon a", "since:soon", Some("since:1h a")),
        ("(a since:1h)", "since:1h", Some("(a ) since:1h")),
        ("-since:1h", "-", Some("since:1h")),
        ("since:1h since:2h", "since:2h", Some("since:1h")),
        ("since:1h until:2h", "since:1h until:2h", None),
        ("user:\"bob", "\"", Some("user:\"bob\"")),
        ("app:(a b)", "b", Some("app:(a OR b)")),
        ("app:(a", "(", Some("app:(a)")),
        ("app:()", ")", None),
        ("error | count by host", "| count by host", Some("error")),
        ("ip:10.1.0.0/20", "10.1.0.0/20", Some("ip:10.1.0.0/16")),
    ] {
        let error = parse(text, &now()).expect_err(text);
        assert_eq!(&text[error.span.clone()], at, "{text}: {error}");
        assert_eq!(error.fixes.first().map(|fix| fix.query.as_str()), repaired, "{text}: {error}");
        for fix in &error.fixes {
            assert!(parse(&fix.query, &now()).is_ok(), "{text}: the repair {} is refused too", fix.query);
        }
    }
}

#[test]
fn the_limits_of_size_depth_and_terms_are_kept() {
    assert!(parse(&"a".repeat(4096), &now()).is_ok());
    assert!(parse(&"ä".repeat(2049), &now()).is_err());
    assert!(parse(&format!("{}a{}", "(".repeat(32), ")".repeat(32)), &now()).is_ok());
    assert!(parse(&"(".repeat(33), &now()).is_err());
    assert!(parse(&"a ".repeat(200), &now()).is_ok());
    assert!(parse(&"a ".repeat(201), &now()).is_err());
    assert!(parse(&format!("f:({})", "a,".repeat(200) + "a"), &now()).is_err());
    assert!(parse(&"NOT ".repeat(1000), &now()).is_err());
}

#[test]
fn what_may_not_be_as_meant_is_said() {
    for (text, hinted) in [
        ("\"a*b\"", "\"a*b\""),
        ("(a", "("),
        ("a )", ")"),
        ("\"a b", "\""),
        ("level:error or level:warn", "or"),
        ("level:eror", "eror"),
    ] {
        let parsed = read(text, &now()).unwrap();
        assert_eq!(parsed.hints.iter().map(|hint| &text[hint.span.clone()]).next(), Some(hinted), "{text}");
        for fix in parsed.hints.iter().flat_map(|hint| &hint.fixes) {
            assert!(read(&fix.query, &now()).is_ok(), "{}", fix.query);
        }
    }
    assert!(read("no such file or directory", &now()).unwrap().hints.is_empty());
    assert_eq!(read("localhost:9092", &now()).unwrap().as_text[0].query, "\"localhost:9092\"");
}

#[test]
fn the_printed_form_is_the_one_that_people_would_write() {
    for text in [
        "timeout",
        "\"connection refused\"",
        "level:error service:api",
        "level>=warn",
        "error -healthcheck -path:/metrics",
        "status:5xx",
        "took>250",
        "host:web-0* pod:api-*",
        "-user:*",
        "(a OR b) -(c d)",
        "`status`:500",
        "app:\"two words\"",
        "a since:2026-11-21T09:00:00Z",
    ] {
        assert_eq!(meaning(text), text);
    }
}

/// Pieces of the language and of log lines, to be put together at random.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9_.:/@-]{1,8}",
        "[ -~“”„äİßΣ\t\n]{0,6}",
        any::<char>().prop_map(String::from),
        proptest::sample::select(vec![
            " ",
            " ",
            " ",
            "(",
            ")",
            "\"",
            "\"",
            "*",
            "-",
            "!",
            "OR",
            " OR ",
            " AND ",
            "NOT ",
            "|",
            "`",
            ":",
            ">=",
            "<",
            ",",
            "level",
            "level:",
            "level>=",
            "warn",
            "status:",
            "5xx",
            "1..2",
            "f:(",
            "f:",
            "service:",
            "since:1h",
            "until:now",
            "message:",
            "10.0.0.0/8",
            "250ms",
            "\\",
        ])
        .prop_map(str::to_owned),
    ]
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        any::<i32>().prop_map(|n| Scalar::Number(f64::from(n))),
        (-1e12..1e12).prop_map(Scalar::Number),
        "[0-9]\\.[0-9]\\.[0-9]-[a-z]{1,3}".prop_map(Scalar::Word),
    ]
}

fn compare() -> impl Strategy<Value = Compare> {
    proptest::sample::select(vec![Compare::Eq, Compare::Lt, Compare::Le, Compare::Gt, Compare::Ge])
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        Just(Test::Exists),
        ".{0,6}".prop_map(Test::Is),
        "[a-z0-9./-]{1,6}".prop_map(Test::Is),
        "[a-z0-9./-]{1,4}\\*[a-z]{0,2}".prop_map(Test::Glob),
        (compare(), scalar()).prop_map(|(compare, scalar)| Test::Compare(compare, scalar)),
        (0..1000_i32, 0..1000_i32)
            .prop_map(|(low, more)| Test::Range(Scalar::Number(f64::from(low)), Scalar::Number(f64::from(low + more)))),
    ]
}

fn leaf() -> impl Strategy<Value = Expr> {
    let words = proptest::collection::vec("[a-z0-9_ä]{1,5}", 1..4);
    let levels = (compare(), proptest::sample::select(Level::ALL.to_vec()));
    prop_oneof![
        Just(Expr::All),
        words.clone().prop_map(|words| Expr::Text(Text::Phrase(words))),
        words.prop_map(|words| Expr::Text(Text::Prefix(words))),
        "[a-z]{1,3}[./a-z]{0,4}".prop_map(|text| Expr::Text(Text::Contains(text))),
        levels.prop_map(|(compare, level)| field("log.level", Test::Level(compare, level))),
        ("[a-z@_][a-z0-9_.]{0,5}[a-z]", test()).prop_map(|(name, test)| field(&name, test)),
        ("[^`\0]{1,5}", test()).prop_map(|(name, test)| field(&name, test)),
        (proptest::sample::select(vec!["status", "host.name", "since", "level", "service"]), test())
            .prop_map(|(name, test)| field(name, test)),
    ]
}

/// Trees in the form that the parser makes: nothing in itself, nothing empty, nothing single.
fn expr() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(|all| {
                let all = all.into_iter().map(Some).fold(None, super::both);
                all.unwrap_or_default()
            }),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(|all| super::any(all).unwrap_or_default()),
            inner.prop_map(super::negate),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_the_parser_panic_and_what_it_prints_reads_back_as_the_same(
        text in proptest::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat()),
    ) {
        match read(&text, &now()) {
            Ok(parsed) => {
                let printed = print(&parsed.query);
                prop_assert_eq!(parse(&printed, &now()), Ok(parsed.query), "{:?}", printed);
                for hint in &parsed.hints {
                    prop_assert!(text.get(hint.span.clone()).is_some());
                }
            }
            Err(error) => prop_assert!(text.get(error.span.clone()).is_some()),
        }
    }

    #[test]
    fn every_question_reads_back_from_its_text(expr in expr(), since in proptest::option::of(0_i64..1_000_000_000_000)) {
        let since = since.map(|ns| jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap());
        let query = Query { expr, since, until: None };
        let printed = print(&query);
        prop_assert_eq!(parse(&printed, &now()), Ok(query), "{}", printed);
    }
}
