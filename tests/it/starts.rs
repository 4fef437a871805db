//! What can stand in the way at the start, and on the disk: each says what to do, and nothing is lost.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    rig::{LogFile, Site, corpus, index, until, verify},
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

#[tokio::test]
async fn a_full_disk_stops_checkpoints_and_no_line() {
    let mut site = Site::new("full").await;
    let disk = Disk::mount(&site.dir.join("small"), "4m");
    site.set("data_dir", disk.0.join("data").display().to_string());
    // As many files as it takes for their checkpoints to need more of the disk than the store has taken.
    let files = corpus::files(&site.logs(), 11, 3_000, 3);
    let (firsts, rests): (Vec<LogFile>, Vec<LogFile>) = files.iter().map(in_two).unzip();
    corpus::write_whole(&firsts);
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    transfer.ready().await;
    // A file that is new has to be in the store before anything of it is sent: these are.
    index::wait_for(&site.elasticsearch, &site.indices(), 3_000).await;
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![0; 8 << 20]).expect_err("the disk is full now");
    corpus::write_whole(&rests);
    index::wait_for(&site.elasticsearch, &site.indices(), 9_000).await;
    until("failed commits are counted", Duration::from_secs(30), async || {
        agent.metric("logdrive_checkpoint_commits_total", &[("outcome", "failed")]).await >= 1.0
    })
    .await;
    let said = agent.output();
    assert!(said.contains(&disk.0.display().to_string()), "the message names the directory:\n{said}");

    fs::remove_file(&ballast).expect("it is there");
    let saved = agent.metric("logdrive_checkpoint_commits_total", &[("outcome", "saved")]).await;
    until("checkpoints are saved again", Duration::from_secs(30), async || {
        agent.metric("logdrive_checkpoint_commits_total", &[("outcome", "saved")]).await > saved
    })
    .await;
    agent.kill();
    let mut agent = site.agent();
    agent.ready().await;
    settled(&site, &files).await;
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}

/// A file's first line, and the others.
fn in_two(file: &LogFile) -> (LogFile, LogFile) {
    let end = file.text.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (first, rest) = file.text.split_at(end);
    let part = |text: &[u8]| LogFile { path: file.path.clone(), text: text.to_vec() };
    (part(first), part(rest))
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
