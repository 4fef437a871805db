//! A configuration that changes while lines are written: nothing is lost or doubled, and no mistake ends collection.
//!
//! `IT_RELOADS` (40) and `IT_RELOAD_LINES` (2000 lines in each of 12 files) make it the long form.

use std::{fs, path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    rig::{Dice, Program, Site, corpus, number, until},
    road::settled,
};

const LIMIT: Duration = Duration::from_secs(60);

/// The files of each task; together they are all of them.
const SHARES: [&str; 3] = ["app-0[0-3].log", "app-0[4-7].log", "app-{0[89],1[01]}.log"];

/// Configurations of one site.
struct Versions {
    site: toml::Table,
    logs: String,
    topic: String,
}

impl Versions {
    fn of(site: &Site) -> Self {
        Self { site: site.clone_settings(), logs: site.logs().display().to_string(), topic: site.topic.clone() }
    }

    fn text(&self, tasks: Vec<toml::Value>) -> String {
        let mut settings = self.site.clone();
        let agent = settings.entry("agent").or_insert(toml::Table::new().into());
        agent.as_table_mut().expect("a table").insert("tasks".to_owned(), tasks.into());
        toml::to_string(&settings).expect("it is a configuration")
    }

    fn task(&self, number: usize, version: u64) -> toml::Value {
        let paths = format!("{}/{}", self.logs, SHARES[number]);
        let mut task = toml::Table::new();
        task.insert("name".to_owned(), format!("share-{number}").into());
        task.insert("paths".to_owned(), vec![paths].into());
        task.insert("topic".to_owned(), self.topic.clone().into());
        if version > 0 {
            task.insert("rate".to_owned(), format!("{}MiB/s", 10 * version).into());
        }
        task.into()
    }

    /// All tasks, as they are to be in the end.
    fn whole(&self) -> String {
        self.text((0..SHARES.len()).map(|number| self.task(number, 0)).collect())
    }

    /// Some of the tasks, some of them otherwise than before.
    fn any(&self, dice: &mut Dice) -> String {
        let mut numbers: Vec<usize> = (0..SHARES.len()).filter(|_| dice.within(0..4) > 0).collect();
        if numbers.is_empty() {
            numbers.push(0);
        }
        self.text(numbers.into_iter().map(|number| self.task(number, dice.within(0..3))).collect())
    }

    /// One that is not valid, in several ways.
    fn bad(&self, dice: &mut Dice) -> String {
        let whole = self.whole();
        match dice.within(0..4) {
            0 => whole.replace("paths", "path"),
            1 => whole[..whole.len() / 2].to_owned() + "= [",
            2 => self.text(vec![self.task(0, 0), self.task(0, 1)]),
            _ => whole.replace("[kafka]", "[kafka]\nlinger = 5"),
        }
    }
}

/// Puts a text in the place of a file, in one of the ways in which that is done.
fn put(file: &Path, text: &str, dice: &mut Dice) {
    let beside = file.with_extension("new");
    match dice.within(0..3) {
        0 => fs::write(file, text).expect("written"),
        1 => {
            fs::write(&beside, text).expect("written");
            fs::rename(&beside, file).expect("renamed");
        }
        _ => {
            let target = file.with_extension(format!("version-{}", dice.roll()));
            fs::write(&target, text).expect("written");
            let _ = fs::remove_file(&beside);
            std::os::unix::fs::symlink(&target, &beside).expect("linked");
            fs::rename(&beside, file).expect("renamed");
        }
    }
}

fn hang_up(program: &Program) {
    let pid = Pid::from_raw(program.id().cast_signed()).expect("a process");
    kill_process(pid, Signal::HUP).expect("it runs");
}

async fn reloads(program: &Program, outcome: &str) -> f64 {
    program.metric("logdrive_config_reloads_total", &[("outcome", outcome)]).await
}

#[tokio::test]
async fn a_configuration_that_changes_at_random_while_lines_flow_costs_no_line_and_doubles_none() {
    let mut dice = Dice::thrown();
    let count = number("IT_RELOADS", 40);
    let site = Site::new("reload").await;
    let versions = Versions::of(&site);
    let file = site.dir.join("logdrive.toml");
    let files = corpus::files(&site.logs(), 7, 12, number("IT_RELOAD_LINES", 2000) as usize);
    let transfer = site.transfer();
    let mut agent = site.agent();
    agent.ready().await;
    put(&file, &versions.whole(), &mut dice);
    hang_up(&agent);

    let writing = corpus::write(&files, corpus::Pace::over(Duration::from_millis(250 * count), &files));
    let reloading = async {
        for _ in 0..count {
            let is_bad = dice.within(0..5) == 0;
            let text = if is_bad { versions.bad(&mut dice) } else { versions.any(&mut dice) };
            put(&file, &text, &mut dice);
            // Without a signal the change is seen after a moment.
            if dice.coin() {
                hang_up(&agent);
            }
            tokio::time::sleep(Duration::from_millis(dice.within(1..500))).await;
            assert_eq!(agent.missing_lines().await, 0.0, "each line that was read is answered for, at any moment");
        }
    };
    futures::join!(writing, reloading);
    put(&file, &versions.whole(), &mut dice);
    settled(&site, &files).await;
    assert!(reloads(&agent, "applied").await > 0.0);
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}

#[tokio::test]
async fn a_mistake_is_refused_as_a_whole_and_what_can_not_change_live_is_named() {
    let mut site = Site::new("reload-refused").await;
    site.set("agent.lanes", 1);
    let versions = Versions::of(&site);
    let file = site.dir.join("logdrive.toml");
    let files = corpus::files(&site.logs(), 7, 12, 50);
    let transfer = site.transfer();
    let mut agent = site.agent();
    agent.ready().await;
    fs::write(&file, versions.whole()).expect("written");
    hang_up(&agent);
    until("applied", LIMIT, async || reloads(&agent, "applied").await > 0.0).await;

    for (text, told) in [
        (versions.whole().replace("lanes = 1", "lanes = 2"), "agent.lanes can't change while this runs"),
        (versions.whole().replace("paths", "path"), "there is no setting \"path\""),
        (versions.text(Vec::new()), "no task says what to collect"),
    ] {
        let before = reloads(&agent, "refused").await;
        fs::write(&file, text).expect("written");
        until(told, LIMIT, async || reloads(&agent, "refused").await > before).await;
        assert!(agent.output().contains(told), "{told}");
        assert_eq!(agent.metric("logdrive_config_last_reload_successful", &[]).await, 0.0);
        assert!(agent.answers("/readyz").await, "what ran goes on");
    }
    corpus::write_whole(&files);
    settled(&site, &files).await;
    fs::write(&file, versions.whole()).expect("written");
    until("well again", LIMIT, async || agent.metric("logdrive_config_last_reload_successful", &[]).await > 0.0).await;
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}
