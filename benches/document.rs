//! Lines to documents: how many a second, for text and for JSON of the kinds that servers write.
//!
//! Each bench checks its answer once before it is measured: every document is a JSON object that has the line as its
//! message, the time and the level that the line has.

use std::{hint::black_box, path::Path};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use logdrive::{
    document::{Builder, Settings, Source},
    record::{FileId, Form, NO_LABELS, Part, Stream},
    splitter,
};

/// How many lines a round has; about 1 MiB, as in one batch.
const LINES: usize = 8_000;

fn source() -> Source<'static> {
    Source {
        stream: Stream { file: FileId(0x0123_4567_89ab_cdef), generation: 0 },
        path: Path::new("/var/log/nginx/access.log"),
        host: "web-1.example.org",
        task: "nginx",
        labels: &NO_LABELS,
        topic: "",
        read_at: "2024-06-15T10:00:00.123456789Z".parse().expect("a time"),
        form: Form::default(),
    }
}

/// Lines of syslog, an access log, a Java service and a line without time or level, by turns.
fn text() -> Vec<u8> {
    let line = |index: usize| {
        let second = index / 100 % 60;
        match index % 4 {
            0 => format!(
                "Jun 14 22:14:{second:02} web-1 sshd[{index}]: Accepted publickey for deploy from 10.0.{}.7 port 50{second:02} ssh2: ED25519 SHA256:Uy0vVj7X",
                index % 250
            ),
            1 => format!(
                "10.1.{}.9 - - [14/Jun/2024:22:14:{second:02} +0000] \"GET /api/v1/items/{index}?page=2 HTTP/1.1\" 200 {} \"-\" \"curl/8.5.0\"",
                index % 250,
                index * 7 % 5000
            ),
            2 => format!(
                "2024-06-14 22:14:{second:02},{:03} WARN  [http-nio-8080-exec-{}] c.e.shop.OrderService - order {index} took longer than 500 ms: 731 ms",
                index % 1000,
                index % 10
            ),
            _ => format!(
                "    at com.example.shop.OrderService.place(OrderService.java:{index}) ~[shop-1.4.2.jar!/:1.4.2] and so on and on"
            ),
        }
    };
    (0..LINES).map(line).collect::<Vec<_>>().join("\n").into_bytes()
}

/// Lines as a structured logger writes them, one in four with an escape.
fn json() -> Vec<u8> {
    let line = |index: usize| {
        let escape = if index.is_multiple_of(4) { "\\\"quoted\\\" " } else { "" };
        format!(
            "{{\"level\":\"info\",\"ts\":17184033{:02}.{:06},\"logger\":\"http\",\"msg\":\"{escape}request done\",\"method\":\"GET\",\"path\":\"/api/v1/items/{index}\",\"status\":200,\"bytes\":{},\"duration\":0.00{index},\"user\":{{\"id\":{index},\"name\":\"someone\"}},\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}}",
            index / 100 % 60,
            index,
            index * 7 % 5000
        )
    };
    (0..LINES).map(line).collect::<Vec<_>>().join("\n").into_bytes()
}

/// Makes a document of each line, one behind the other, in memory that is used again.
fn build_all(builder: &mut Builder, text: &mut [u8], out: &mut Vec<u8>) -> usize {
    out.clear();
    let mut lines = builder.source(&source());
    let (mut start, mut count) = (0, 0);
    while start < text.len() {
        let end = splitter::first_end(&text[start..]).map_or(text.len(), |end| start + end - 1);
        if lines.build(&mut text[start..end], start as u64, Part::Whole, out).is_some() {
            out.push(b'\n');
            count += 1;
        }
        start = end + 1;
    }
    count
}

fn check(text: &[u8], out: &[u8]) {
    let documents = splitter::lines(out).zip(splitter::lines(text)).enumerate();
    for (index, ((_, document), (offset, line))) in documents {
        let document: serde_json::Value = serde_json::from_slice(document).expect("a document is JSON");
        let line = std::str::from_utf8(line).expect("a line is UTF-8");
        let message = document["message"].as_str().expect("a message");
        assert!(message == line || (line.starts_with('{') && message.ends_with("request done")), "{document}");
        assert_eq!(document["log.offset"], offset);
        let (time, has_level) = match (line.starts_with('{'), index % 4) {
            (true, _) => ("field", true),
            (false, 3) => ("read", false),
            (false, kind) => ("line", kind == 2),
        };
        assert_eq!(document.get("log.level").is_some(), has_level, "{document}");
        assert_eq!(document["logdrive.time"], time, "{document}");
    }
}

fn documents(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("document");
    for (name, text) in [("text", text()), ("json", json())] {
        let (mut builder, mut line, mut out) = (Builder::new(&Settings::default()), text.clone(), Vec::new());
        assert_eq!(build_all(&mut builder, &mut line, &mut out), LINES);
        check(&text, &out);
        group.throughput(Throughput::Elements(LINES as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                // Reading JSON in place changes the lines; a transfer's lines are new each time too.
                line.copy_from_slice(&text);
                build_all(&mut builder, black_box(&mut line), &mut out)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, documents);
criterion_main!(benches);
