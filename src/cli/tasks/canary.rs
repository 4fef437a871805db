//! A new value for some hosts first: they take it from a key beside the key, report how they fare, and then the others
//! follow, or it is taken back.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, bail, ensure};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};

use super::write::Pen;
use crate::{
    config::remote::{self, Canary},
    etcd::{Change, Entry, Etcd, Written},
    registry::{self, Member, Standing},
};

/// How long the hosts may take to say that they have it.
const REPORT_MAX: Duration = Duration::from_secs(60);

/// How often they are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How the hosts of a canary fare.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// Some have not said yet that they have it.
    Waiting(Vec<String>),
    /// All have it, and fare well.
    Well,
    /// One fares badly, and why.
    Badly(String),
}

/// Lets some hosts take the value, waits until they have it and fared well for `wait`, then gives it to all. If one of
/// them fares badly it is taken back, and the error says why.
pub(super) async fn put(
    pen: &Pen<'_>,
    key: &str,
    before: Option<&Entry>,
    value: &[u8],
    who: &str,
    wait: Duration,
) -> anyhow::Result<()> {
    let members = registry::members(pen.etcd).await?;
    let hosts = choose(&members, key, who)?;
    let canary_key = remote::canary_key(&pen.etcd.settings().prefix, key);
    let text = String::from_utf8(value.to_vec()).context("the tasks are not UTF-8")?;
    let canary = Canary { hosts: hosts.iter().cloned().collect(), tasks: RawValue::from_string(text)? };
    let expected = vec![(canary_key.clone(), 0), (key.to_owned(), before.map_or(0, |entry| entry.revision))];
    let puts = vec![(canary_key.clone(), serde_json::to_vec(&canary)?)];
    let Written::Done(revision) = pen.etcd.write(Change { expected, puts, ..Change::default() }).await? else {
        bail!("{key} was changed by somebody else meanwhile, or has a canary already; nothing was written");
    };
    let names = hosts.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    println!("{key}: revision {revision} for {names}");
    match fare(pen.etcd, &hosts, key, revision, wait).await {
        Ok(()) => promote(pen, key, before, value, &canary_key, revision).await,
        Err(error) => {
            // Only what we wrote: somebody may have withdrawn it, and begun another one.
            let expected = vec![(canary_key.clone(), revision)];
            pen.etcd.write(Change { expected, deletes: vec![canary_key], ..Change::default() }).await?;
            Err(error.context(format!("{key}: taken back, the others keep what they have")))
        }
    }
}

/// Waits until all have it and fared well for `wait`.
async fn fare(etcd: &Etcd, hosts: &BTreeSet<String>, key: &str, revision: i64, wait: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut well_since = None;
    loop {
        match verdict(&registry::members(etcd).await?, hosts, key, revision) {
            Verdict::Badly(why) => bail!(why),
            Verdict::Waiting(hosts) => {
                well_since = None;
                ensure!(begun.elapsed() < REPORT_MAX + wait, "no word that they have it of {}", hosts.join(", "));
            }
            Verdict::Well => {
                let since = *well_since.get_or_insert_with(|| {
                    println!("{key}: they have it, and are watched for {wait:?}");
                    Instant::now()
                });
                if since.elapsed() >= wait {
                    return Ok(());
                }
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Gives the value to all, and takes the canary away, at once.
async fn promote(
    pen: &Pen<'_>,
    key: &str,
    before: Option<&Entry>,
    value: &[u8],
    canary_key: &str,
    revision: i64,
) -> anyhow::Result<()> {
    let mut change = pen.change(key, before, Some(value), "put --canary").await?;
    change.expected.push((canary_key.to_owned(), revision));
    change.deletes.push(canary_key.to_owned());
    match pen.etcd.write(change).await? {
        Written::Done(revision) => {
            println!("{key}: they fare well; written for all, revision {revision}");
            Ok(())
        }
        Written::Conflict => {
            let expected = vec![(canary_key.to_owned(), revision)];
            pen.etcd.write(Change { expected, deletes: vec![canary_key.to_owned()], ..Change::default() }).await?;
            bail!("{key} was changed by somebody else meanwhile; the canary is taken back")
        }
    }
}

/// Takes away a canary that nobody waits for any more.
pub(super) async fn withdraw(etcd: &Etcd, key: &str) -> anyhow::Result<()> {
    let canary_key = remote::canary_key(&etcd.settings().prefix, key);
    let entry = etcd.get(&canary_key).await?.with_context(|| format!("{key} has no canary"))?;
    let expected = vec![(canary_key.clone(), entry.revision)];
    match etcd.write(Change { expected, deletes: vec![canary_key], ..Change::default() }).await? {
        Written::Done(_) => println!("{key}: the canary is taken back"),
        Written::Conflict => bail!("{key}: the canary changed meanwhile; look again"),
    }
    Ok(())
}

/// The hosts that are meant: so many of a hundred of those that have the key, at least one, or those that are named.
fn choose(members: &[Member], key: &str, who: &str) -> anyhow::Result<BTreeSet<String>> {
    let has_key = |member: &&Member| {
        member.standing != Standing::Silent && member.registration.keys.iter().any(|known| known.key == key)
    };
    let hosts: BTreeSet<String> =
        members.iter().filter(has_key).map(|member| member.registration.host.clone()).collect();
    ensure!(!hosts.is_empty(), "no agent that is there has the key {key}; `logdrive agents` lists them");
    if let Some(percent) = who.strip_suffix('%') {
        let percent: f64 =
            percent.parse().ok().filter(|percent| (0.0..=100.0).contains(percent)).with_context(|| {
                format!("--canary {who} is no share of the hosts; write one such as 5%, or names of hosts")
            })?;
        let count = ((hosts.len() as f64 * percent / 100.0).ceil() as usize).max(1);
        return Ok(hosts.into_iter().take(count).collect());
    }
    let named: BTreeSet<String> = who.split(',').map(|host| host.trim().to_owned()).collect();
    if let Some(missing) = named.iter().find(|host| !hosts.contains(*host)) {
        bail!("{missing} is not there, or does not have the key {key}; `logdrive agents` lists those that are");
    }
    Ok(named)
}

fn verdict(members: &[Member], hosts: &BTreeSet<String>, key: &str, revision: i64) -> Verdict {
    let mut waiting = Vec::new();
    for host in hosts {
        let is_meant = |member: &&Member| {
            member.registration.host == *host && member.registration.keys.iter().any(|known| known.key == key)
        };
        let Some(member) = members.iter().find(is_meant) else {
            return Verdict::Badly(format!("{host} is gone"));
        };
        let known = member.registration.keys.iter().find(|known| known.key == key);
        let refused =
            known.filter(|known| known.refused_revision.is_some_and(|refused| refused >= revision || refused == 0));
        if let Some(why) = refused.and_then(|known| known.reason.as_ref()) {
            return Verdict::Badly(format!("{host} refuses it: {why}"));
        }
        if member.standing == Standing::Silent {
            return Verdict::Badly(format!("{host} fell silent"));
        }
        if known.is_none_or(|known| known.revision != revision) {
            waiting.push(host.clone());
            continue;
        }
        match member.standing {
            Standing::Refusing | Standing::Failing => {
                let task = member
                    .registration
                    .tasks
                    .iter()
                    .find_map(|task| task.reason.as_ref().map(|why| format!("task {}: {why}", task.name)));
                let why = task.or_else(|| member.registration.failing.first().cloned()).unwrap_or_default();
                return Verdict::Badly(format!("{host} is {}: {why}", member.standing));
            }
            Standing::Updating => waiting.push(host.clone()),
            Standing::Silent | Standing::Behind | Standing::Running => (),
        }
    }
    if waiting.is_empty() { Verdict::Well } else { Verdict::Waiting(waiting) }
}

#[cfg(test)]
mod tests {
    use super::{Member, Standing, Verdict, choose, verdict};

    fn member(host: &str, standing: Standing, key: &str) -> Member {
        let json = format!(
            r#"{{"role": "agent", "id": "{host}", "host": "{host}", "version": "1", "started": "2026-01-01T00:00:00Z",
            "keys": [{{"key": "/k", {key}}}]}}"#
        );
        Member { standing, registration: serde_json::from_str(&json).expect("one") }
    }

    #[test]
    fn a_share_is_at_least_one_of_those_that_are_there_and_have_the_key() {
        let mut members: Vec<_> =
            (0..30).map(|n| member(&format!("h{n:02}"), Standing::Running, "\"revision\": 1")).collect();
        members.push(member("gone", Standing::Silent, "\"revision\": 1"));
        assert_eq!(choose(&members, "/k", "1%").expect("some").len(), 1);
        assert_eq!(choose(&members, "/k", "10%").expect("some").len(), 3);
        assert_eq!(choose(&members, "/k", "h03, h04").expect("some").len(), 2);
        assert!(choose(&members, "/k", "gone").is_err() && choose(&members, "/other", "1%").is_err());
        assert!(choose(&members, "/k", "200%").is_err());
    }

    #[test]
    fn all_have_to_have_it_and_fare_well() {
        let hosts = ["a", "b"].map(str::to_owned).into();
        let of = |a: Member, b: Member| verdict(&[a, b], &hosts, "/k", 9);
        let has = |host, standing| member(host, standing, "\"revision\": 9");
        assert_eq!(of(has("a", Standing::Running), has("b", Standing::Behind)), Verdict::Well);
        let old = member("b", Standing::Running, "\"revision\": 8");
        assert_eq!(of(has("a", Standing::Running), old), Verdict::Waiting(vec!["b".to_owned()]));
        let refuses = member("b", Standing::Refusing, r#""revision": 8, "refused_revision": 9, "reason": "no""#);
        assert_eq!(of(has("a", Standing::Running), refuses), Verdict::Badly("b refuses it: no".to_owned()));
        let silent = of(has("a", Standing::Running), has("b", Standing::Silent));
        assert_eq!(silent, Verdict::Badly("b fell silent".to_owned()));
        assert!(matches!(of(has("a", Standing::Running), has("b", Standing::Failing)), Verdict::Badly(_)));
    }
}
