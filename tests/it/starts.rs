//! What can stand in the way at the start, and on the disk: each says what to do, and nothing is lost.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    rig::{LogFile, Program, Site, corpus, index, until, verify},
    road::settled,
};

#[tokio::test]
async fn a_second_agent_on_the_same_data_directory_is_refused_and_the_first_goes_on() {
    let site = Site::new("second").await;
    let files = corpus::files(&site.logs(), 9, 1, 1_000);
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    transfer.ready().await;
    let output =
        site.command("agent").env("LOGDRIVE_METRICS__LISTEN", "127.0.0.1:0").output().expect("the program was built");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&site.dir.join("data").display().to_string()), "the message names the directory:\n{said}");
    corpus::write_whole(&files);
    settled(&site, &files).await;
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}

#[tokio::test]
async fn a_damaged_checkpoint_store_is_set_aside_and_costs_no_line() {
    let site = Site::new("damaged").await;
    let mut files = corpus::files(&site.logs(), 10, 3, 2_000);
    let rest: Vec<_> = files.iter_mut().map(|file| file.text.split_off(file.text.len() / 2)).collect();
    corpus::write_whole(&files);
    let mut agent = site.agent();
    agent.ready().await;
    until("the first halves delivered", Duration::from_secs(30), async || {
        agent.metric("logdrive_unread_bytes", &[]).await == 0.0
            && agent.metric("logdrive_acknowledged_lines_total", &[]).await >= 2_900.0
    })
    .await;
    agent.stop_well().await;
    let before = ls(&site.dir.join("data"));
    for path in &before {
        let mut bytes = fs::read(path).expect("it was just listed");
        // What is almost empty, such as a lock, stays: it is the store that is damaged.
        if bytes.len() > 64 {
            bytes.iter_mut().skip(16).for_each(|byte| *byte = !*byte);
        }
        fs::write(path, bytes).expect("the site can be written");
    }
    for (file, rest) in files.iter_mut().zip(rest) {
        file.text.extend(rest);
        fs::write(&file.path, &file.text).expect("the site can be written");
    }

    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    transfer.ready().await;
    index::wait_for(&site.elasticsearch, &site.indices(), 6_000).await;
    until("all delivered", Duration::from_secs(60), async || agent.metric("logdrive_unread_bytes", &[]).await == 0.0)
        .await;
    let said = agent.output();
    assert!(said.contains("was moved to"), "what happened is told:\n{said}");
    agent.stop_well().await;
    transfer.stop_well().await;
    // Whoever lost the checkpoints reads again: a line may come twice, never no time.
    verify::at_least_once(&files, &index::documents(&site.elasticsearch, &site.indices()).await);
}

const FILES: usize = 3_000;

#[tokio::test]
async fn a_full_disk_stops_checkpoints_and_no_line() {
    let mut site = Site::new("full").await;
    let disk = Disk::mount(&site.dir.join("small"), "4m");
    site.set("data_dir", disk.0.join("data").display().to_string());
    let files = corpus::files(&site.logs(), 11, FILES, 60);
    write_line_of_each(&files, 0);
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    transfer.ready().await;
    // A file that is new has to be in the store before anything of it is sent: these are.
    index::wait_for(&site.elasticsearch, &site.indices(), FILES).await;
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![0; 8 << 20]).expect_err("the disk is full now");
    // What the store has taken of it may be enough for some commits, yet not for many.
    let mut lines = 1;
    while commits(&agent, "failed").await == 0.0 {
        let saved = commits(&agent, "saved").await;
        write_line_of_each(&files, lines);
        lines += 1;
        until("checkpoints are saved, or can't be", Duration::from_secs(30), async || {
            commits(&agent, "saved").await > saved || commits(&agent, "failed").await > 0.0
        })
        .await;
    }
    write_line_of_each(&files, lines);
    lines += 1;
    index::wait_for(&site.elasticsearch, &site.indices(), lines * FILES).await;
    let said = agent.output();
    assert!(said.contains(&disk.0.display().to_string()), "the message names the directory:\n{said}");

    fs::remove_file(&ballast).expect("it is there");
    let saved = commits(&agent, "saved").await;
    until("checkpoints are saved again", Duration::from_secs(30), async || commits(&agent, "saved").await > saved)
        .await;
    agent.kill();
    let mut agent = site.agent();
    agent.ready().await;
    let files: Vec<_> = files.iter().map(|file| beginning(file, lines)).collect();
    settled(&site, &files).await;
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}

/// How many commits of checkpoints ended so.
async fn commits(agent: &Program, outcome: &str) -> f64 {
    agent.metric("logdrive_checkpoint_commits_total", &[("outcome", outcome)]).await
}

/// Appends to each file its line of this number.
fn write_line_of_each(files: &[LogFile], number: usize) {
    let line = |file| beginning(file, number + 1).text.split_off(beginning(file, number).text.len());
    let lines = files.iter().map(|file| LogFile { path: file.path.clone(), text: line(file) });
    corpus::write_whole(&lines.collect::<Vec<_>>());
}

/// A file with so many of its lines; it has more.
fn beginning(file: &LogFile, lines: usize) -> LogFile {
    let ends = file.text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let end = std::iter::once(0).chain(ends).nth(lines).expect("it has more lines");
    LogFile { path: file.path.clone(), text: file.text[..end].to_vec() }
}

/// The files of a directory and of those in it.
fn ls(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("it is there").flatten() {
        let path = entry.path();
        if path.is_dir() { files.append(&mut ls(&path)) } else { files.push(path) }
    }
    files
}

/// A small file system in memory; unmounted when it is dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(path: &Path, size: &str) -> Self {
        fs::create_dir_all(path).expect("the site can be written");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(path)
            .status()
            .expect("mount is there");
        assert!(status.success(), "only root may mount the small disk that this test fills");
        Self(path.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a program of a failed test may still be on it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
