//! Tests of the sender against a server that misbehaves: each answer is one that a real server or proxy gives.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::{Body, BulkError, Outcome, Outcomes, Sender};
use crate::elastic::{Client, ElasticError, Flavor, Server, Settings};

/// What the server does with a request's body.
type Answer = fn(&str) -> String;

/// A server that answers each request with `answer`, and hands over the bodies that it got.
async fn serve(answer: Answer) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (bodies, got) = mpsc::channel(1000);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let bodies = bodies.clone();
            tokio::spawn(async move { talk(stream, answer, &bodies).await });
        }
    });
    (url, got)
}

async fn talk(mut stream: TcpStream, answer: Answer, bodies: &mpsc::Sender<String>) -> Option<()> {
    let mut text = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            read_some(&mut stream, &mut text).await?;
        };
        let headers = String::from_utf8_lossy(&text[..head]).to_lowercase();
        let length = headers.split("content-length: ").nth(1)?.split('\r').next()?.parse::<usize>().ok()?;
        while text.len() < head + length {
            read_some(&mut stream, &mut text).await?;
        }
        let body = String::from_utf8(text[head..head + length].to_vec()).unwrap();
        text.drain(..head + length);
        let reply = answer(&body);
        bodies.try_send(body).ok();
        stream.write_all(reply.as_bytes()).await.ok()?;
        if reply.contains("connection: close") {
            return None;
        }
    }
}

async fn read_some(stream: &mut TcpStream, text: &mut Vec<u8>) -> Option<()> {
    (stream.read_buf(text).await.ok()? > 0).then_some(())
}

fn reply(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Tells each item to be created, but for those with a word in them that says otherwise.
fn by_its_words(body: &str) -> String {
    let items: Vec<String> = body
        .lines()
        .skip(1)
        .step_by(2)
        .map(|document| match document {
            _ if document.contains("busy") => {
                r#"{"create":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"full"}}}"#
                    .to_owned()
            }
            _ if document.contains("wrong") => {
                r#"{"create":{"status":400,"error":{"type":"document_parsing_exception","reason":"no"}}}"#.to_owned()
            }
            _ => r#"{"create":{"status":201}}"#.to_owned(),
        })
        .collect();
    let errors = items.iter().any(|item| item.contains("error"));
    reply("200 OK", &format!(r#"{{"errors":{errors},"items":[{}]}}"#, items.join(",")))
}

/// Refuses a body that has a word of poison in it as a whole.
fn poisoned(body: &str) -> String {
    const REFUSAL: &str =
        r#"{"error":{"type":"action_request_validation_exception","reason":"id is too long"},"status":400}"#;
    if body.contains("poison") { reply("400 Bad Request", REFUSAL) } else { by_its_words(body) }
}

/// Takes bodies of at most 150 bytes, as a proxy does.
fn narrow(body: &str) -> String {
    if body.len() > 150 { reply("413 Payload Too Large", "<html>too large</html>") } else { by_its_words(body) }
}

struct Try {
    got: mpsc::Receiver<String>,
    sender: Sender,
    body: Body,
}

/// A sender to such a server, and a body of these documents.
async fn attempt(answer: Answer, documents: &[&str]) -> Try {
    let (url, got) = serve(answer).await;
    let settings = Settings { urls: vec![url], request_timeout: Duration::from_millis(500), ..Settings::default() };
    let server = Server { flavor: Flavor::Elasticsearch, version: (8, 19, 0) };
    let sender = Sender::new(Client::new(&settings).unwrap(), &server, &settings, false);
    let mut body = sender.body();
    for (at, document) in documents.iter().enumerate() {
        body.push("logs", Some(&at.to_string()), |out| out.extend_from_slice(document.as_bytes()));
    }
    Try { got, sender, body }
}

async fn outcomes(answer: Answer, documents: &[&str]) -> Result<Outcomes, BulkError> {
    let mut attempt = attempt(answer, documents).await;
    attempt.sender.send(&mut attempt.body).await
}

/// The items refused and those to be sent again.
fn sorted(outcomes: &Outcomes) -> (Vec<usize>, Vec<usize>) {
    let of = |wanted: fn(&Outcome) -> bool| {
        outcomes.others.iter().filter(|(_, outcome)| wanted(outcome)).map(|(item, _)| *item).collect()
    };
    (of(|outcome| matches!(outcome, Outcome::Refused(_))), of(|outcome| matches!(outcome, Outcome::Again(_))))
}

#[tokio::test]
async fn what_has_to_wait_is_sent_again_alone_from_the_same_bytes() {
    let Try { mut got, sender, mut body } = attempt(by_its_words, &["{a}", "{busy}", "{wrong}", "{busy}", "{b}"]).await;
    let told = sender.send(&mut body).await.unwrap();
    assert_eq!(told.created(), 2);
    let (refused, again) = sorted(&told);
    assert_eq!((refused, again.clone()), (vec![2], vec![1, 3]));
    body.retain(|item| again.contains(&item));
    sender.send(&mut body).await.unwrap();
    let (first, second) = (got.recv().await.unwrap(), got.recv().await.unwrap());
    let lines: Vec<&str> = first.lines().collect();
    assert_eq!(second.lines().collect::<Vec<_>>(), [lines[2], lines[3], lines[6], lines[7]]);
}

#[tokio::test]
async fn one_item_that_spoils_a_body_is_found_and_no_other_suffers() {
    for guilty in 0..7 {
        let mut documents = ["{a}"; 7];
        documents[guilty] = "{poison}";
        let told = outcomes(poisoned, &documents).await.unwrap();
        assert_eq!((told.items, told.created()), (7, 6));
        assert_eq!(sorted(&told), (vec![guilty], vec![]));
        let Outcome::Refused(reason) = &told.others[0].1 else { unreachable!("it was sorted as refused") };
        assert_eq!(reason.to_string(), "400 action_request_validation_exception: id is too long");
    }
}

#[tokio::test]
async fn a_request_that_is_refused_whatever_is_in_it_costs_no_document() {
    let error = outcomes(poisoned, &["{poison}"; 100]).await.unwrap_err().error;
    assert_eq!(error.status(), Some(400));
    let proxy: Answer = |_| reply("400 Bad Request", "<html>400</html>");
    assert_eq!(outcomes(proxy, &["{a}"]).await.unwrap_err().error.status(), Some(400));
}

#[tokio::test]
async fn a_body_too_large_is_parted_until_it_fits_and_the_next_one_is_smaller() {
    let long = format!("{{{}}}", "x".repeat(200));
    let mut documents = vec!["{a}"; 9];
    documents[4] = &long;
    let Try { sender, mut body, .. } = attempt(narrow, &documents).await;
    let told = sender.send(&mut body).await.unwrap();
    assert_eq!((told.created(), sorted(&told)), (8, (vec![4], vec![])));

    let many: Vec<String> = (0..3000).map(|_| "x".repeat(100)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let bounded: Answer = |body| if body.len() > 100_000 { narrow(body) } else { by_its_words(body) };
    let Try { sender, mut body, .. } = attempt(bounded, &many).await;
    assert_eq!(sender.send(&mut body).await.unwrap().created(), 3000);
    let mut next = sender.body();
    while !next.is_full() {
        next.push("logs", Some("1"), |out| out.extend_from_slice(many[0].as_bytes()));
    }
    assert!(next.bytes_len() < body.bytes_len() / 2);
}

#[tokio::test]
async fn nothing_is_known_of_any_item_where_there_is_no_whole_answer() {
    let answers: [Answer; 6] = [
        |_| "HTTP/1.1 200 OK\r\ncontent-length: 500\r\nconnection: close\r\n\r\n{\"errors\":false,".to_owned(),
        |_| "connection: close".to_owned(),
        |_| reply("200 OK", "<html>welcome</html>"),
        |_| reply("200 OK", r#"{"errors":true,"items":[{"create":{"status":201}}]}"#),
        |_| reply("502 Bad Gateway", "<html>"),
        |_| reply("401 Unauthorized", r#"{"error":{"type":"security_exception","reason":"who?"},"status":401}"#),
    ];
    for answer in answers {
        assert!(outcomes(answer, &["{a}", "{b}"]).await.is_err());
    }
}

#[tokio::test]
async fn a_server_that_is_too_busy_says_when_to_come_back() {
    let answer: Answer =
        |_| "HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}".to_owned();
    let error = outcomes(answer, &["{a}"]).await.unwrap_err();
    assert_eq!((error.error.status(), error.retry_after), (Some(429), Some(Duration::from_secs(7))));
    assert!(error.error.is_temporary());
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let settings = Settings { urls: vec![url], request_timeout: Duration::from_millis(50), ..Settings::default() };
    let client = Client::new(&settings).unwrap();
    assert!(matches!(client.server().await, Err(ElasticError::Timeout { .. })));
}

#[tokio::test]
async fn a_server_that_is_away_is_passed_over() {
    let away = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let (here, _got) = serve(by_its_words).await;
    let settings = Settings { urls: vec![away.clone(), here], ..Settings::default() };
    let server = Server { flavor: Flavor::OpenSearch, version: (3, 6, 0) };
    let sender = Sender::new(Client::new(&settings).unwrap(), &server, &settings, true);
    for _ in 0..4 {
        let mut body = sender.body();
        body.push("logs", Some("1"), |out| out.extend_from_slice(b"{}"));
        assert_eq!(sender.send(&mut body).await.unwrap().created(), 1);
    }
    let alone = Client::new(&Settings { urls: vec![away], ..Settings::default() }).unwrap();
    let error = alone.server().await.unwrap_err().to_string();
    assert!(error.contains("is it running"), "{error}");
}

/// Elasticsearch knows `require_data_stream` since 8.13, OpenSearch does not.
#[test]
fn only_a_server_that_knows_it_is_told_to_make_no_index_where_a_data_stream_is_meant() {
    let (elasticsearch, opensearch) = (Flavor::Elasticsearch, Flavor::OpenSearch);
    let first = Server { flavor: elasticsearch, version: (8, 12, 2) };
    let settings = Settings { urls: vec!["http://127.0.0.1:1".to_owned()], ..Settings::default() };
    let sender = |is_data_stream| Sender::new(Client::new(&settings).unwrap(), &first, &settings, is_data_stream);
    let (streams, indices) = (sender(true), sender(false));
    for (flavor, version, knows_it) in [
        (elasticsearch, (8, 13, 0), true),
        (opensearch, (2, 19, 1), false),
        (elasticsearch, (9, 0, 0), true),
        (opensearch, (3, 6, 0), false),
    ] {
        let server = Server { flavor, version };
        [&streams, &indices].iter().for_each(|sender| sender.now_for(&server));
        let said = [&streams, &indices].map(|sender| sender.requires_data_stream.load(Ordering::Relaxed));
        assert_eq!(said, [knows_it, false], "{server}");
    }
}
