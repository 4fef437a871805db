//! `logdrive agents`: who runs what, who is behind, who is silent.

use std::io::{self, Write};

use anyhow::{Context, ensure};
use jiff::Timestamp;

use super::{
    arguments::Agents,
    service,
    table::{self, plain},
};
use crate::{
    config::Config,
    etcd::Etcd,
    registry::{self, Member, Registration, Role, Standing, TaskState},
};

pub(super) fn run(config: &Config, asked: &Agents) -> anyhow::Result<()> {
    let etcd = Etcd::new(&config.etcd)?;
    service::threads(config)?.block_on(async {
        let mut members = registry::members(&etcd).await?;
        if let Some(id) = &asked.forget {
            return forget(&etcd, &members, id).await;
        }
        if !asked.hosts.is_empty() {
            members.retain(|member| asked.hosts.iter().any(|host| is_meant(member, host)));
        }
        let mut out = io::stdout().lock();
        if asked.json {
            for member in &members {
                serde_json::to_writer(&mut out, member)?;
                writeln!(out)?;
            }
            return Ok(());
        }
        write(&members, Timestamp::now(), &mut out)?;
        Ok(())
    })
}

/// Whether somebody who typed this means that process.
fn is_meant(member: &Member, typed: &str) -> bool {
    member.registration.host == typed || member.registration.id.starts_with(typed)
}

async fn forget(etcd: &Etcd, members: &[Member], typed: &str) -> anyhow::Result<()> {
    let meant: Vec<_> = members.iter().filter(|member| is_meant(member, typed)).collect();
    ensure!(!meant.is_empty(), "nobody is known as {typed}; `logdrive agents` lists all");
    for member in meant {
        let id = &member.registration.id;
        ensure!(
            member.standing == Standing::Silent,
            "{id} on {} is there; it can be forgotten when it was stopped",
            member.registration.host
        );
        registry::forget(etcd, &member.registration).await.with_context(|| format!("can't forget {id}"))?;
        println!("forgot {} {id} on {}", member.registration.role, plain(&member.registration.host));
    }
    Ok(())
}

fn write(members: &[Member], now: Timestamp, out: &mut impl Write) -> io::Result<()> {
    let heads = ["HOST", "ROLE", "STATE", "VERSION", "UP", "TASKS", "BEHIND", "REVISIONS", "WHY"];
    let rows = members.iter().map(|member| row(member, now));
    table::write(&[heads.map(str::to_owned)].into_iter().chain(rows).collect::<Vec<_>>(), &[4, 5, 6], out)
}

fn row(member: &Member, now: Timestamp) -> [String; 9] {
    let said = &member.registration;
    let is_silent = member.standing == Standing::Silent;
    let or_nothing = |text: String| if is_silent { "-".to_owned() } else { text };
    let revisions: Vec<String> = said
        .keys
        .iter()
        .filter(|key| key.revision != 0)
        .map(|key| format!("{}@{}{}", plain(&key.key), key.revision, if key.canary { " (canary)" } else { "" }))
        .collect();
    [
        plain(&said.host),
        said.role.to_string(),
        member.standing.to_string(),
        plain(&said.version),
        or_nothing(age(said.started, now)),
        or_nothing(work(said)),
        or_nothing(behind(said)),
        if revisions.is_empty() { "-".to_owned() } else { revisions.join(" ") },
        why(member),
    ]
}

/// What it works on: an agent tasks, a transfer partitions.
fn work(said: &Registration) -> String {
    match said.role {
        Role::Agent => said.tasks_total.to_string(),
        Role::Transfer => format!("{} partitions", said.partitions),
    }
}

fn behind(said: &Registration) -> String {
    match said.role {
        Role::Agent => bytesize::ByteSize(said.unread_bytes).to_string(),
        Role::Transfer => format!("{} records", said.lag_records),
    }
}

/// The first reason for the state, in one line.
fn why(member: &Member) -> String {
    let said = &member.registration;
    let of_key = said.keys.iter().find_map(|key| key.reason.as_ref().map(|why| format!("{}: {why}", key.key)));
    let of_task = || {
        let refused = said.tasks.iter().find(|task| task.state == TaskState::Refused)?;
        Some(format!("{}: {}", refused.name, refused.reason.as_deref().unwrap_or("refused")))
    };
    let why = of_key.or_else(of_task).or_else(|| said.failing.first().cloned()).unwrap_or_default();
    plain(why.lines().next().unwrap_or_default())
}

/// How long ago, in its largest unit.
fn age(from: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(from.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::{Member, Standing, write};

    #[test]
    fn the_table_shows_what_each_runs_and_why_it_does_not_fare_well() {
        let member = |standing, json: &str| Member { standing, registration: serde_json::from_str(json).expect("one") };
        let members = [
            member(
                Standing::Silent,
                r#"{"role": "agent", "id": "1", "host": "web-2", "version": "1.0", "started": "2026-01-01T00:00:00Z"}"#,
            ),
            member(
                Standing::Refusing,
                r#"{"role": "agent", "id": "2", "host": "web-1", "version": "1.0", "started": "2026-01-01T00:00:00Z",
                "keys": [{"key": "/all", "revision": 7, "reason": "no JSON\nat all"}], "tasks_total": 3,
                "unread_bytes": 1048576}"#,
            ),
            member(
                Standing::Running,
                r#"{"role": "transfer", "id": "3", "host": "es-1", "version": "1.0", "started": "2026-01-01T00:00:00Z",
                "topics": ["app"], "partitions": 12, "lag_records": 2048}"#,
            ),
        ];
        let mut out = Vec::new();
        write(&members, "2026-01-01T00:05:00Z".parse().expect("a time"), &mut out).expect("memory takes it");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "HOST   ROLE      STATE     VERSION  UP          TASKS        BEHIND  REVISIONS  WHY\n\
             web-2  agent     silent    1.0       -              -             -  -          \n\
             web-1  agent     refusing  1.0      5m              3       1.0 MiB  /all@7     /all: no JSON\n\
             es-1   transfer  running   1.0      5m  12 partitions  2048 records  -          \n"
        );
    }
}
