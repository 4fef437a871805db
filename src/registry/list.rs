//! Who is there, who was there, and how each fares.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::Registration;
use crate::etcd::{Change, Entry, Etcd, EtcdError};

/// Below this, behind the prefix, are those that are there.
pub(super) const PRESENT: &str = "registry";

/// And below this those that were there.
pub(super) const KNOWN: &str = "known";

/// How far behind one may be and fare well.
const BEHIND_BYTES: u64 = 256 << 20;

/// And how many records.
const BEHIND_RECORDS: u64 = 1 << 20;

/// A process, as it said last.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Member {
    /// How it fares.
    pub standing: Standing,
    /// What it said.
    #[serde(flatten)]
    pub registration: Registration,
}

/// How a process fares: the worst of what holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It was there, and its lease has ended.
    Silent,
    /// It refuses tasks.
    Refusing,
    /// It can't do its work now.
    Failing,
    /// It is 256 MiB or a million records behind, or more.
    Behind,
    /// Tasks of it end or change.
    Updating,
    /// All is well.
    Running,
}

/// All that are there or were, the worst first.
///
/// # Errors
/// If etcd is away or refuses.
pub async fn members(etcd: &Etcd) -> Result<Vec<Member>, EtcdError> {
    let prefix = &etcd.settings().prefix;
    let known = etcd.list(&format!("{prefix}/{KNOWN}/")).await?;
    // Read afterwards: who comes in between is there, and not silent.
    let present = etcd.list(&format!("{prefix}/{PRESENT}/")).await?;
    Ok(of(&known.entries, &present.entries))
}

/// Forgets one that is silent. It is known again when it comes back.
///
/// # Errors
/// If etcd is away or refuses.
pub async fn forget(etcd: &Etcd, registration: &Registration) -> Result<(), EtcdError> {
    let key = format!("{}/{KNOWN}/{}/{}", etcd.settings().prefix, registration.role, registration.id);
    etcd.write(Change { deletes: vec![key], ..Change::default() }).await.map(drop)
}

fn of(known: &[Entry], present: &[Entry]) -> Vec<Member> {
    // What is no registration is not ours.
    let read = |entry: &Entry| serde_json::from_slice::<Registration>(&entry.value).ok();
    let mut members = BTreeMap::new();
    for registration in known.iter().filter_map(read) {
        let id = (registration.role, registration.id.clone());
        members.insert(id, Member { standing: Standing::Silent, registration });
    }
    for registration in present.iter().filter_map(read) {
        let id = (registration.role, registration.id.clone());
        members.insert(id, Member { standing: standing(&registration), registration });
    }
    let mut members: Vec<_> = members.into_values().collect();
    members.sort_by(|one, other| {
        let order = |member: &Member| (member.standing, member.registration.role);
        order(one).cmp(&order(other)).then_with(|| one.registration.host.cmp(&other.registration.host))
    });
    members
}

fn standing(registration: &Registration) -> Standing {
    use super::TaskState::{Draining, Refused};
    let any = |state| registration.tasks.iter().any(|task| task.state == state);
    match registration {
        _ if any(Refused) || registration.keys.iter().any(|key| key.reason.is_some()) => Standing::Refusing,
        _ if !registration.failing.is_empty() => Standing::Failing,
        _ if registration.unread_bytes >= BEHIND_BYTES => Standing::Behind,
        _ if registration.lag_records >= BEHIND_RECORDS => Standing::Behind,
        _ if any(Draining) => Standing::Updating,
        _ => Standing::Running,
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Silent => "silent",
            Self::Refusing => "refusing",
            Self::Failing => "failing",
            Self::Behind => "behind",
            Self::Updating => "updating",
            Self::Running => "running",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Standing, of};
    use crate::{
        etcd::Entry,
        registry::{Key, Registration},
    };

    fn registration(id: &str) -> Registration {
        let rest = r#""role": "agent", "host": "web", "version": "1", "started": "2026-01-02T03:04:05Z""#;
        serde_json::from_str(&format!(r#"{{"id": "{id}", {rest}}}"#)).expect("what is left out has a default")
    }

    fn entry(registration: &Registration) -> Entry {
        Entry { key: registration.id.clone(), value: registration.to_json(), revision: 1 }
    }

    #[test]
    fn who_was_there_and_is_not_is_silent_and_the_worst_comes_first() {
        let refused = Key { key: "/all".to_owned(), reason: Some("no JSON".to_owned()), ..Key::default() };
        let refusing = Registration { keys: vec![refused], ..registration("b") };
        let behind = Registration { unread_bytes: 1 << 30, ..registration("c") };
        let junk = Entry { key: "x".to_owned(), value: b"junk".to_vec(), revision: 1 };
        let known = [entry(&registration("a")), entry(&registration("b")), entry(&registration("d"))];
        let present = [entry(&registration("a")), entry(&refusing), entry(&behind), junk];
        let seen: Vec<_> =
            of(&known, &present).into_iter().map(|member| (member.registration.id, member.standing)).collect();
        let expected =
            [("d", Standing::Silent), ("b", Standing::Refusing), ("c", Standing::Behind), ("a", Standing::Running)];
        assert_eq!(seen, expected.map(|(id, standing)| (id.to_owned(), standing)));
    }
}
