//! Checkpoints: lost ones are found again in Kafka, and people can see and change them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use crate::{
    rig::{LogFile, Program, Site, corpus, until},
    road::settled,
};

/// What can happen to a file.
#[derive(Clone, Copy, Debug)]
pub enum Damage {
    Cut,
    Zeroes,
    Flip,
}

#[tokio::test]
async fn checkpoints_that_were_damaged_are_found_again_in_kafka_and_nothing_is_read_twice() {
    let site = Site::new("rebuilt").await;
    let whole = corpus::files(&site.logs(), 21, 4, 2_000);
    let mut transfer = site.transfer();
    transfer.ready().await;
    let mut agent = site.agent();
    agent.ready().await;
    for (quarter, damage) in (0..4).zip([None, Some(Damage::Cut), Some(Damage::Zeroes), Some(Damage::Flip)]) {
        if let Some(damage) = damage {
            agent.stop_well().await;
            spoil(&site.dir.join("data/checkpoints"), damage);
            agent = site.agent();
            agent.ready().await;
        }
        let mut written = 0;
        for file in &whole {
            let lines: Vec<&[u8]> = file.text.split_inclusive(|byte| *byte == b'\n').collect();
            let part = &lines[quarter * 500..(quarter + 1) * 500];
            written += part.len();
            append(&file.path, &part.concat());
        }
        until("acknowledged", Duration::from_secs(60), async || {
            agent.metric("logdrive_acknowledged_lines_total", &[]).await >= written as f64
        })
        .await;
        if damage.is_some() {
            assert_eq!(agent.metric("logdrive_read_lines_total", &[]).await, written as f64, "nothing was read again");
            assert!(agent.output().contains("files that kafka told of go on where it has them"), "{}", agent.output());
        }
    }
    settled(&site, &whole).await;
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&whole).await;
}

#[tokio::test]
async fn checkpoints_can_be_seen_while_the_agent_runs_and_changed_when_it_does_not() {
    let site = Site::new("checkpoints").await;
    let files = corpus::files(&site.logs(), 22, 3, 100);
    corpus::write_whole(&files);
    let mut agent = site.agent();
    agent.ready().await;
    until("all is safe", Duration::from_secs(60), async || {
        let list = list(&site, Some(&agent));
        list.len() == 3 && list.iter().all(|row| row["state"] == "ok")
    })
    .await;
    let refused = run(&site, Some(&agent), &["set", &files[0].path.display().to_string(), "--beginning"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("stop it"), "{}", text(&refused.stderr));
    agent.stop_well().await;

    let path = files[0].path.display().to_string();
    let shown = run(&site, None, &["list"]);
    assert!(
        text(&shown.stdout).starts_with("STATE ") && text(&shown.stdout).contains(&path),
        "{}",
        text(&shown.stdout)
    );
    let export = text(&run(&site, None, &["export"]).stdout);
    let set = run(&site, None, &["set", &path, "--offset", "5000"]);
    assert!(text(&set.stdout).contains("are sent again"), "{}{}", text(&set.stdout), text(&set.stderr));
    let set =
        list(&site, None).into_iter().find(|row| row["checkpoint"]["path"] == path.as_str()).expect("it is listed");
    let offset = set["checkpoint"]["offset"].as_u64().expect("a number");
    assert!(files[0].lines().any(|(at, _)| at == offset) && offset <= 5000, "{offset} is the beginning of a line");
    assert_eq!(set["state"], "behind");

    fs::write(site.dir.join("bad"), format!("{export}{{}}\n")).expect("the site can be written");
    let refused = run(&site, None, &["import", "bad"]);
    assert!(
        refused.status.code() == Some(1) && text(&refused.stderr).contains("line 4: "),
        "{}",
        text(&refused.stderr)
    );
    assert_eq!(list(&site, None).iter().filter(|row| row["state"] == "behind").count(), 1, "nothing was changed");
    fs::write(site.dir.join("good"), &export).expect("the site can be written");
    assert!(run(&site, None, &["import", "good"]).status.success());
    assert_eq!(text(&run(&site, None, &["export"]).stdout), export);
    assert_eq!(run(&site, None, &["show", "/nowhere"]).status.code(), Some(1));
    assert_eq!(run(&site, None, &["set", &path]).status.code(), Some(2));
}

#[tokio::test]
async fn a_second_agent_whose_lock_was_removed_is_refused_by_the_store_itself() {
    let site = Site::new("twice").await;
    let files = corpus::files(&site.logs(), 23, 1, 500);
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    transfer.ready().await;
    fs::remove_file(site.dir.join("data/checkpoints.lock")).expect("it is there");
    let second = site.command("agent").env("LOGDRIVE_METRICS__LISTEN", "127.0.0.1:0").output().expect("it was built");
    assert_eq!(second.status.code(), Some(1), "{}", text(&second.stderr));
    corpus::write_whole(&files);
    settled(&site, &files).await;
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}

/// What `list --json` says, line by line; of the running agent if there is one.
fn list(site: &Site, agent: Option<&Program>) -> Vec<serde_json::Value> {
    let output = run(site, agent, &["list", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn run(site: &Site, agent: Option<&Program>, arguments: &[&str]) -> Output {
    let mut command = site.command("checkpoints");
    command.args(arguments);
    if let Some(agent) = agent {
        command.env("LOGDRIVE_METRICS__LISTEN", agent.metrics.to_string());
    }
    command.output().expect("the program was built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn append(path: &Path, text: &[u8]) {
    let file = LogFile { path: path.to_owned(), text: text.to_vec() };
    corpus::write_whole(&[file]);
}

/// Damages the largest file of the store.
pub fn spoil(store: &Path, damage: Damage) {
    let files =
        fs::read_dir(store).expect("the store").flatten().map(|entry| entry.path()).filter(|path| path.is_file());
    let path: PathBuf = files.max_by_key(|path| fs::metadata(path).map_or(0, |file| file.len())).expect("it has files");
    let mut bytes = fs::read(&path).expect("readable");
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    match damage {
        // Cut further behind, the store opens as it was some commits ago, and what was sent since is sent again.
        Damage::Cut => bytes.truncate(10),
        Damage::Zeroes => bytes[..written].fill(0),
        Damage::Flip => bytes[..written].iter_mut().skip(16).for_each(|byte| *byte ^= 4),
    }
    fs::write(&path, bytes).expect("writable");
}
