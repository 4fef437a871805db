//! Asking processes: over HTTP for what they do, in etcd for who is there.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures::future::join_all;
use reqwest::{Client, StatusCode, Url};

use super::{
    process::{Answer, Process},
    text::Scrape,
};
use crate::{
    etcd::Etcd,
    host,
    inspect::State,
    registry::{self, Member, Standing},
};

/// A process that doesn't answer for so long is away.
const PATIENCE: Duration = Duration::from_secs(3);

/// A larger answer is none of ours.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How many files are asked for.
const FILES: usize = 500;

/// Who is watched.
pub enum Who {
    /// The process that serves its metrics here.
    One(String),
    /// All that are registered.
    All(Etcd),
}

/// Asks those who are watched.
pub(super) struct Asking {
    who: Who,
    http: Client,
}

impl Asking {
    pub(super) fn new(who: Who) -> anyhow::Result<Self> {
        Ok(Self { who, http: Client::builder().timeout(PATIENCE).build()? })
    }

    /// Asks all, and those that came since. Those that went stay: they may come back.
    pub(super) async fn round(&self, mut processes: Vec<Process>) -> (Vec<Process>, Option<String>) {
        let trouble = match &self.who {
            Who::One(url) => {
                if processes.is_empty() {
                    processes.push(Process::new(name_of(url), Some(url.clone()), None));
                }
                None
            }
            Who::All(etcd) => match registry::members(etcd).await {
                Ok(members) => {
                    meet(&mut processes, members);
                    None
                }
                Err(error) => Some(error.to_string()),
            },
        };
        let answers = join_all(processes.iter().map(|process| self.ask(process))).await;
        for (process, answer) in processes.iter_mut().zip(answers) {
            if let Some(answer) = answer {
                process.took(answer);
            }
        }
        (processes, trouble)
    }

    /// None of one that can't be asked from here.
    async fn ask(&self, process: &Process) -> Option<Result<Answer, String>> {
        let url = process.url.as_deref()?;
        if process.member.as_ref().is_some_and(|member| member.standing == Standing::Silent) {
            return Some(Err("its lease in etcd has ended".to_owned()));
        }
        Some(self.answer(url).await)
    }

    async fn answer(&self, url: &str) -> Result<Answer, String> {
        let files = format!("{url}/debug/state?files={FILES}");
        let metrics = format!("{url}/metrics");
        let (metrics, state) = tokio::join!(self.text(&metrics), self.text(&files));
        let (at, scrape) = (Instant::now(), Scrape::parse(&metrics?));
        // An older process, or one that may not tell, has none.
        let state = state.ok().and_then(|text| serde_json::from_str::<State>(&text).ok());
        Ok(Answer { at, scrape, state })
    }

    async fn text(&self, url: &str) -> Result<String, String> {
        let asked = async {
            let mut answer = self.http.get(url).send().await?.error_for_status()?;
            let mut bytes = Vec::new();
            while let Some(chunk) = answer.chunk().await? {
                if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                    break;
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok::<_, reqwest::Error>(bytes)
        };
        match asked.await {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| format!("{url} answers with what is no text")),
            Err(error) => Err(why(url, &error)),
        }
    }
}

fn why(url: &str, error: &reqwest::Error) -> String {
    match error.status() {
        Some(StatusCode::NOT_FOUND) => format!("{url} is not there: is it the port of metrics.listen?"),
        Some(status) => format!("{url} answers {status}"),
        None if error.is_timeout() => format!("{url} does not answer within 3 s"),
        None if error.is_connect() => format!("nobody listens at {url}"),
        None => format!("{url}: {error}"),
    }
}

/// Takes over who is there now, keeping what is known of those who were there before.
fn meet(processes: &mut Vec<Process>, members: Vec<Member>) {
    let here = host::name();
    for member in members {
        let url = url(&member, &here);
        let name = name(&member);
        let id = |member: &Member| (member.registration.role, member.registration.id.clone());
        let known = processes.iter_mut().find(|process| process.member.as_ref().map(id) == Some(id(&member)));
        match known {
            Some(process) => (process.url, process.name, process.member) = (url, name, Some(member)),
            None => processes.push(Process::new(name, url, Some(member))),
        }
    }
    // Two on one host are told apart by their ports.
    let names: Vec<String> = processes.iter().map(|process| process.name.clone()).collect();
    for process in processes.iter_mut() {
        if names.iter().filter(|name| **name == process.name).count() > 1
            && let Some(port) = process.member.as_ref().and_then(|member| port(&member.registration.metrics))
        {
            process.name = format!("{}:{port}", process.name);
        }
    }
}

fn name(member: &Member) -> String {
    member.registration.host.clone()
}

fn port(address: &str) -> Option<&str> {
    address.rsplit_once(':').map(|(_, port)| port)
}

/// Where the metrics of a process are reached from this host; none if they aren't.
fn url(member: &Member, here: &str) -> Option<String> {
    let said = &member.registration;
    let (host, port) = said.metrics.rsplit_once(':')?;
    let is_local = host == "localhost" || said.metrics.parse::<SocketAddr>().is_ok_and(|at| at.ip().is_loopback());
    let is_any = matches!(host, "0.0.0.0" | "[::]");
    match said.addresses.first() {
        _ if port == "0" => None,
        _ if is_local => (said.host == here).then(|| format!("http://{}", said.metrics)),
        Some(address) if is_any && address.contains(':') => Some(format!("http://[{address}]:{port}")),
        Some(address) if is_any => Some(format!("http://{address}:{port}")),
        None if is_any => None,
        _ => Some(format!("http://{}", said.metrics)),
    }
}

/// The address that was typed, as a URL without a path.
///
/// # Errors
/// If it can't be one.
pub fn checked(typed: &str) -> Result<String, String> {
    let text = if typed.contains("://") { typed.to_owned() } else { format!("http://{typed}") };
    let url = Url::parse(&text).map_err(|error| format!("{typed} is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("{typed} is no address of a process: write http://HOST:PORT"));
    }
    Ok(url.as_str().trim_end_matches('/').trim_end_matches("/metrics").to_owned())
}

fn name_of(url: &str) -> String {
    url.split_once("://").map_or(url, |(_, rest)| rest).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Member, Process, Standing, checked, meet, url};

    fn member(id: &str, host: &str, metrics: &str) -> Member {
        let json = format!(
            r#"{{"role": "agent", "id": "{id}", "host": "{host}", "addresses": ["10.0.0.7"], "version": "1",
            "started": "2026-01-02T03:04:05Z", "metrics": "{metrics}"}}"#
        );
        Member { standing: Standing::Running, registration: serde_json::from_str(&json).expect("a registration") }
    }

    #[test]
    fn a_process_is_asked_where_it_is_reached_from_here() {
        let of = |host: &str, metrics: &str| url(&member("a", host, metrics), "web-1");
        assert_eq!(of("web-1", "127.0.0.1:9717").as_deref(), Some("http://127.0.0.1:9717"));
        assert_eq!(of("web-2", "127.0.0.1:9717"), None, "another host's loopback");
        assert_eq!(of("web-2", "0.0.0.0:9717").as_deref(), Some("http://10.0.0.7:9717"));
        assert_eq!(of("web-2", "10.9.9.9:1").as_deref(), Some("http://10.9.9.9:1"));
        assert_eq!((of("web-1", ""), of("web-1", "127.0.0.1:0")), (None, None));
    }

    #[test]
    fn what_is_typed_becomes_an_address() {
        for typed in ["127.0.0.1:9717", "http://127.0.0.1:9717/", "http://127.0.0.1:9717/metrics"] {
            assert_eq!(checked(typed).as_deref(), Ok("http://127.0.0.1:9717"));
        }
        assert!(checked("ftp://a").is_err() && checked("").is_err());
    }

    #[test]
    fn those_who_were_met_before_stay_themselves_and_two_on_a_host_are_told_apart() {
        let mut processes: Vec<Process> = Vec::new();
        meet(&mut processes, vec![member("a", "web-1", "0.0.0.0:1")]);
        processes[0].trouble = Some("was seen".to_owned());
        meet(&mut processes, vec![member("b", "web-1", "0.0.0.0:2"), member("a", "web-1", "0.0.0.0:1")]);
        let names: Vec<_> =
            processes.iter().map(|process| (process.name.as_str(), process.trouble.is_some())).collect();
        assert_eq!(names, [("web-1:1", true), ("web-1:2", false)]);
    }
}
