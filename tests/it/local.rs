//! `logdrive up`: files to search results in one process, with no Kafka and no Elasticsearch.
//!
//! `IT_KILLS` (20) and `IT_LINES` (3000 lines in each of 6 files) make the test with the kills the long form.

use std::time::Duration;

use crate::rig::{Dice, Program, Site, api, browser, corpus, number, until, verify};

#[tokio::test]
async fn up_finds_lines_of_real_files_through_its_api_and_shows_them_on_its_page() {
    let site = site("up");
    let files = corpus::files(&site.logs(), 20, 4, 2_500);
    let pattern = site.logs().join("*.log").display().to_string();
    let mut up = site.up(&[&pattern]);
    up.ready().await;
    corpus::write(&files, corpus::Pace::over(Duration::from_secs(2), &files)).await;
    all_found(&up, &files).await;

    let documents = api::documents(up.web, "").await;
    verify::same(&files, &documents);
    let times: Vec<_> = documents.iter().map(|document| document.text("@timestamp").to_owned()).collect();
    let parsed: Vec<jiff::Timestamp> = times.iter().map(|time| time.parse().expect("a time")).collect();
    assert!(parsed.is_sorted_by(|newer, older| newer >= older), "newest first");

    let one = api::documents(up.web, "f02n0001234").await;
    assert_eq!(one.len(), 1, "a word that stands in one line: {one:?}");
    let hits = site.search(&["f02n0001234", "--json", "--url", &format!("http://{}", up.web)]);
    assert!(hits.lines().count() == 1 && hits.contains("f02n0001234"), "the same in the terminal: {hits}");
    let phrase = api::count(up.web, "\"cache miss\"").await;
    let expected = documents.iter().filter(|document| document.text("message").contains("cache miss")).count();
    assert_eq!(phrase, expected as u64, "a phrase");
    let path = files[1].path.display();
    assert_eq!(api::count(up.web, &format!("path:{path}")).await, 2_500, "a field");
    assert_eq!(api::count(up.web, &format!("-path:{path}")).await, 7_500, "without it");
    let histogram = api::ask(up.web, "histogram", &[("buckets", "50")]).await;
    let bars = histogram["buckets"].as_array().expect("buckets");
    let sum: u64 = bars.iter().map(|bar| bar["count"].as_u64().expect("a count")).sum();
    assert_eq!(sum, 10_000, "the bars of the histogram add up to all lines");

    let page = browser::open(&format!("http://{}/?q=f02n0001234", up.web), "up", &site.dir.join("browser"));
    assert!(page.contains("<mark"), "the word is highlighted:\n{page}");
    assert!(page.contains("app-02.log"), "the file is shown");
    assert!(page.contains("<svg") || page.contains("<canvas"), "the histogram is drawn");
    browser::open(&format!("http://{}/", up.web), "up-all", &site.dir.join("browser"));
    up.stop_well().await;
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_when_up_is_killed_twenty_times() {
    let mut dice = Dice::thrown();
    let kills = number("IT_KILLS", 20);
    let site = site("up-kills");
    let files = corpus::files(&site.logs(), 21, 6, number("IT_LINES", 3_000) as usize);
    let pattern = site.logs().join("*.log").display().to_string();
    let lives = async {
        for _ in 0..kills {
            let up = site.up(&[&pattern]);
            let life = if dice.coin() { dice.within(1..300) } else { dice.within(300..2_000) };
            tokio::time::sleep(Duration::from_millis(life)).await;
            up.kill();
        }
        site.up(&[&pattern])
    };
    let writing = Duration::from_millis(700 * kills);
    let ((), mut up) = futures::join!(corpus::write(&files, corpus::Pace::over(writing, &files)), lives);
    up.ready().await;
    all_found(&up, &files).await;
    verify::same(&files, &api::documents(up.web, "").await);
    up.stop_well().await;
}

/// A site that names no servers.
fn site(name: &str) -> Site {
    Site::without_topics(name, "127.0.0.1:1", "http://127.0.0.1:1")
}

async fn all_found(up: &Program, files: &[corpus::LogFile]) {
    let lines = corpus::lines_in(files) as u64;
    until("all lines found", Duration::from_secs(90), async || api::count(up.web, "").await >= lines).await;
}
