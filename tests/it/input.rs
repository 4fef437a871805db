//! Files that are not as they should be: each is told of, nothing of them is lost, and the others don't wait.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
    time::Duration,
};

use crate::rig::{
    Program, Site,
    index::{self, Document},
    until,
};

#[tokio::test]
async fn odd_files_and_odd_lines_lose_nothing_and_hold_up_nobody() {
    let mut site = Site::new("input").await;
    site.set("agent.idle_flush", "300ms");
    site.set("agent.rescan", "1s");
    let logs = site.logs();
    let put = |name: &str, text: &[u8]| fs::write(logs.join(name), text).expect("the site can be written");
    put("closed.log", b"behind a closed door\n");
    fs::set_permissions(logs.join("closed.log"), fs::Permissions::from_mode(0o000)).expect("we own it");
    fs::create_dir(logs.join("directory.log")).expect("the site can be written");
    fs::write(logs.join(OsStr::from_bytes(b"caf\xe9.log")), "of no encoding\n").expect("the site can be written");
    put("empty.log", b"");
    put("unfinished.log", b"a first part");
    let long: Vec<u8> =
        (0..10 << 20).map(|at| if at % 80 == 79 { b' ' } else { b'a' + (at / 80 % 26) as u8 }).collect();
    put("long.log", &[b"before\n", &long[..], b"\nbehind\n"].concat());
    put("bytes.log", b"nul \0 here\nbroken \xff\xfe utf-8 \xe2\x82\n\x1b[31mred\x1b[0m\r\n\n");
    put("json.log", b"{\"broken\": \n{\"a\":1,\"a\":2}\n{}\n[1]\n{\"_id\":\"mine\",\"message\":7}\n");
    let (mut agent, mut transfer) = (Program::without_superpowers(&site, "agent"), site.transfer());
    agent.ready().await;
    transfer.ready().await;

    // closed: 0, café: 1, unfinished: 1, long: 2 and at least 10 parts, bytes: 4, json: 5.
    index::wait_for(&site.elasticsearch, &site.indices(), 23).await;
    append(&logs.join("unfinished.log"), b" and the rest\n");
    until("the closed file is told of", Duration::from_secs(30), async || {
        agent.output().contains("closed.log")
            && agent.metric("logdrive_errors_total", &[("part", "reader")]).await >= 1.0
    })
    .await;
    fs::set_permissions(logs.join("closed.log"), fs::Permissions::from_mode(0o644)).expect("we own it");
    index::wait_for(&site.elasticsearch, &site.indices(), 25).await;
    agent.stop_well().await;
    transfer.stop_well().await;

    let files = by_file(index::documents(&site.elasticsearch, &site.indices()).await);
    let messages = |name: &str| files[name].iter().map(|document| document.text("message")).collect::<Vec<_>>();
    assert_eq!(messages("closed.log"), ["behind a closed door"]);
    assert_eq!(messages("caf\u{fffd}.log"), ["of no encoding"]);
    assert_eq!(messages("unfinished.log"), ["a first part", " and the rest"]);
    let parts: Vec<_> = files["unfinished.log"].iter().map(|document| document.text("logdrive.part")).collect();
    assert_eq!(parts, ["first", "last"]);
    let parts = messages("long.log");
    assert_eq!((parts[0], parts[parts.len() - 1]), ("before", "behind"));
    assert!(parts[1..parts.len() - 1].concat().as_bytes() == long, "the parts of a long line are the line");
    assert_eq!(
        messages("bytes.log"),
        ["nul \0 here", "broken \u{fffd}\u{fffd} utf-8 \u{fffd}", "\u{1b}[31mred\u{1b}[0m", ""]
    );
    assert_eq!(
        messages("json.log"),
        ["{\"broken\": ", "{\"a\":1,\"a\":2}", "{}", "[1]", "{\"_id\":\"mine\",\"message\":7}"]
    );
    assert_eq!(files["json.log"][0].fields["tags"][0], "json_broken");
    assert_eq!(files.len(), 6, "no more files than these: {:?}", files.keys());
}

/// The documents by their file's name, each file's in the order of their offsets.
fn by_file(documents: Vec<Document>) -> BTreeMap<String, Vec<Document>> {
    let mut files: BTreeMap<String, Vec<Document>> = BTreeMap::new();
    for document in documents {
        let name = Path::new(document.text("log.file.path")).file_name().expect("a path of a file");
        files.entry(name.to_string_lossy().into_owned()).or_default().push(document);
    }
    for documents in files.values_mut() {
        documents.sort_by_key(|document| document.number("log.offset"));
    }
    files
}

fn append(path: &Path, text: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(path).expect("it is there");
    file.write_all(text).expect("the site can be written");
}
