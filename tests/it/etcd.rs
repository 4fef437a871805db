//! The door to etcd against a real one: killed, made anew, compacted, filled to its quota, away at first, with TLS and
//! users, over a way that cuts answers off; two who write at once; a lease that is lost.

use std::time::Duration;

use logdrive::{
    etcd::{Change, Etcd, EtcdError, Heard, Place, Range, Settings, Written, hold, watch},
    record::Secret,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::rig::{
    Dice,
    etcd::{EtcdServer, ROOT_PASSWORD},
    ports,
    rough::RoughWay,
    until,
};

const LIMIT: Duration = Duration::from_secs(60);

fn settings(endpoint: &str) -> Settings {
    Settings {
        endpoints: vec![endpoint.to_owned()],
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(5),
        lease: Duration::from_secs(3),
        ..Settings::default()
    }
}

fn put(key: &str, value: &str) -> Change {
    Change { puts: vec![(key.to_owned(), value.into())], ..Change::default() }
}

/// A watch, and what it says that the keys hold.
struct Listener {
    heard: mpsc::Receiver<Heard>,
    lost: Vec<EtcdError>,
    backs: usize,
    snapshots: usize,
    state: std::collections::BTreeMap<String, String>,
}

impl Listener {
    fn start(etcd: &Etcd, range: Range) -> Self {
        let (teller, heard) = mpsc::channel(16);
        tokio::spawn(watch(etcd.clone(), range, teller));
        Self { heard, lost: Vec::new(), backs: 0, snapshots: 0, state: Default::default() }
    }

    fn on(etcd: &Etcd, keys: &[&str]) -> Self {
        Self::start(etcd, Range::Keys(keys.iter().map(|key| (*key).to_owned()).collect()))
    }

    /// Listens until the state is this.
    async fn until(&mut self, state: &[(&str, &str)]) {
        let wanted = state.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.listen(&format!("{state:?}"), |listener| listener.state == wanted).await;
    }

    async fn listen(&mut self, what: &str, met: impl Fn(&Self) -> bool) {
        let listening = async {
            while !met(self) {
                match self.heard.recv().await.expect("the watch goes on") {
                    Heard::All(snapshot) => {
                        self.snapshots += 1;
                        let text = |value: Vec<u8>| String::from_utf8(value).expect("text");
                        self.state = snapshot.entries.into_iter().map(|entry| (entry.key, text(entry.value))).collect();
                    }
                    Heard::Put(entry) => {
                        self.state.insert(entry.key, String::from_utf8(entry.value).expect("text"));
                    }
                    Heard::Deleted { key, .. } => _ = self.state.remove(&key),
                    Heard::Lost(error) => self.lost.push(error),
                    Heard::Back => self.backs += 1,
                }
            }
        };
        if tokio::time::timeout(LIMIT, listening).await.is_err() {
            let (lost, last) = (self.lost.len(), self.lost.last());
            panic!("{what}: not after {LIMIT:?}; lost {lost} times, at last: {last:?}, state: {:?}", self.state);
        }
    }
}

#[tokio::test]
async fn a_watch_misses_nothing_though_etcd_is_away_at_first_killed_compacted_and_made_anew() {
    let server = EtcdServer::absent("etcd-watch", &[]);
    let down = format!("127.0.0.1:{}", ports::free());
    let etcd = Etcd::new(&Settings { endpoints: vec![down, server.endpoint.clone()], ..settings("") }).expect("valid");
    let mut keys = Listener::on(&etcd, &["/a", "/b"]);
    keys.listen("it says that etcd is away", |listener| listener.lost.len() == 1).await;
    assert!(keys.lost[0].to_string().contains("is it up"), "{}", keys.lost[0]);

    server.start_again();
    keys.listen("all is read", |listener| listener.snapshots == 1 && listener.backs == 1).await;
    let mut below = Listener::start(&etcd, Range::Prefix("/p/".to_owned()));
    below.until(&[]).await;
    for (key, value) in [("/a", "1"), ("/p/x", "1"), ("/elsewhere", "1"), ("/b", "1"), ("/p/y", "1")] {
        server.ctl(&["put", key, value]);
    }
    keys.until(&[("/a", "1"), ("/b", "1")]).await;
    below.until(&[("/p/x", "1"), ("/p/y", "1")]).await;

    // Killed and back: it goes on where it was, and what changed while nobody listened is told.
    server.kill();
    keys.listen("the kill is told", |listener| listener.lost.len() == 2).await;
    server.start_again();
    server.ctl(&["put", "/a", "2"]);
    server.ctl(&["del", "/b"]);
    server.ctl(&["del", "/p/x"]);
    keys.until(&[("/a", "2")]).await;
    below.until(&[("/p/y", "1")]).await;
    assert_eq!(keys.snapshots, 1, "nothing had to be read again");

    // Compacted while nobody listened: what was missed can't be told one by one, so all is read.
    server.kill();
    keys.listen("the kill is told", |listener| listener.lost.len() == 3).await;
    server.start_again();
    let others = Etcd::new(&settings(&server.endpoint)).expect("valid");
    for value in ["3", "4"] {
        others.write(put("/a", value)).await.expect("it is up");
    }
    server.compact();
    keys.until(&[("/a", "4")]).await;

    // Made anew: its revisions begin at 1 again, and what it holds is the truth.
    server.lose();
    keys.listen("the loss is told", |listener| listener.lost.len() == 4).await;
    server.start_again();
    server.ctl(&["put", "/b", "new"]);
    keys.until(&[("/b", "new")]).await;
    below.until(&[]).await;
}

#[tokio::test]
async fn of_two_who_write_at_once_one_is_told_and_a_change_is_whole() {
    let server = EtcdServer::start("etcd-swap", &[]);
    let etcd = Etcd::new(&settings(&server.endpoint)).expect("valid");
    let change = |expected, value: &str| Change { expected: vec![("/a".to_owned(), expected)], ..put("/a", value) };
    let Written::Done(first) = etcd.write(change(0, "1")).await.expect("up") else { panic!("nobody was faster") };
    assert_eq!(etcd.write(change(0, "2")).await, Ok(Written::Conflict), "it is there already");
    let both = futures::future::join(etcd.write(change(first, "x")), etcd.write(change(first, "y"))).await;
    let written = [both.0.expect("up"), both.1.expect("up")];
    assert_eq!(written.iter().filter(|written| **written == Written::Conflict).count(), 1, "{written:?}");

    // Many keys come page by page, at one moment.
    for batch in 0..10 {
        let puts = (0..100).map(|n| (format!("/many/{batch}/{n:02}"), vec![b'v'])).collect();
        etcd.write(Change { puts, ..Change::default() }).await.expect("up");
    }
    let many = etcd.list("/many/").await.expect("up");
    assert_eq!(many.entries.len(), 1000);
    assert!(many.entries.is_sorted_by(|one, other| one.key < other.key));
}

#[tokio::test]
async fn a_full_etcd_and_a_value_too_large_say_what_to_do_and_what_is_there_can_be_read() {
    let server = EtcdServer::start("etcd-full", &[("ETCD_QUOTA_BYTES", "16777216"), ("ETCD_REQUEST_MAX", "12582912")]);
    let etcd = Etcd::new(&settings(&server.endpoint)).expect("valid");
    etcd.write(put("/small", "1")).await.expect("there is room");
    etcd.write(put("/large", &"x".repeat(2 << 20))).await.expect("there is room");
    assert_eq!(etcd.get("/large").await.expect("up").expect("there").value.len(), 2 << 20);
    let mut full = None;
    for _ in 0..20 {
        full = etcd.write(put("/large", &"y".repeat(2 << 20))).await.err();
        if full.is_some() {
            break;
        }
    }
    let full = full.expect("the quota is reached");
    assert!(matches!(full, EtcdError::Full { .. }) && full.to_string().contains("raise its quota"), "{full}");
    assert_eq!(etcd.get("/small").await.expect("it answers").expect("there").value, b"1");
    let large = etcd.write(put("/huge", &"x".repeat(13 << 20))).await.expect_err("too large");
    assert!(matches!(large, EtcdError::TooLarge { .. }), "{large}");
}

#[tokio::test]
async fn tls_certificates_and_users_are_asked_for_and_each_of_them_wrong_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = EtcdServer::secure("etcd-secure", dir.path());
    let file = |name: &str| Some(dir.path().join(name));
    let right = Settings {
        username: Some("root".to_owned()),
        password: Some(Secret::from(ROOT_PASSWORD)),
        ca_file: file("ca.pem"),
        cert_file: file("client.pem"),
        key_file: file("client.key"),
        ..settings(&format!("https://{}", server.endpoint))
    };
    let etcd = Etcd::new(&right).expect("valid");
    etcd.write(put("/a", "1")).await.expect("we may");
    Listener::on(&etcd, &["/a"]).until(&[("/a", "1")]).await;

    let refusal = async |settings: Settings| {
        let error = Etcd::new(&settings).expect("valid").get("/a").await.expect_err("it must not be let in");
        assert!(!error.to_string().contains(ROOT_PASSWORD), "{error}");
        error
    };
    let wrong = refusal(Settings { password: Some(Secret::from("wrong")), ..right.clone() }).await;
    assert!(matches!(wrong, EtcdError::Refused { .. }), "{wrong}");
    let nobody = refusal(Settings { username: None, password: None, ..right.clone() }).await;
    assert!(matches!(nobody, EtcdError::Refused { .. }), "{nobody}");
    let stranger = refusal(Settings { ca_file: file("other-ca.pem"), ..right.clone() }).await;
    assert!(stranger.to_string().contains("ertificate"), "{stranger}");
    let bare = refusal(Settings { cert_file: None, key_file: None, ..right.clone() }).await;
    assert!(matches!(bare, EtcdError::Away { .. }), "{bare}");

    // A user who may read one key alone is told of the other.
    let root = |arguments: &[&str]| server.ctl(arguments);
    root(&["role", "add", "reader"]);
    root(&["role", "grant-permission", "reader", "read", "/a"]);
    root(&["user", "add", "ada:lovelace"]);
    root(&["user", "grant-role", "ada", "reader"]);
    let ada = Settings {
        username: Some("ada".to_owned()),
        password: Some(Secret::from("lovelace")),
        cert_file: file("client.pem"),
        ..right
    };
    let ada = Etcd::new(&ada).expect("valid");
    let seen = ada.read(&["/a".to_owned(), "/b".to_owned()]).await.expect("one of them");
    assert_eq!((seen.entries.len(), seen.refused.len()), (1, 1), "{seen:?}");
    assert!(seen.refused[0].1.to_string().contains("permission denied"), "{:?}", seen.refused);
    let mut listener = Listener::on(&ada, &["/a", "/b"]);
    listener.until(&[("/a", "1")]).await;
    etcd.write(put("/a", "2")).await.expect("root may");
    listener.until(&[("/a", "2")]).await;
    assert_eq!(listener.snapshots, 1, "it was heard at once, though the other key is forbidden");
}

#[tokio::test]
async fn a_key_under_a_lease_is_there_as_long_as_we_are_though_the_lease_or_etcd_is_lost() {
    let server = EtcdServer::start("etcd-lease", &[]);
    let etcd = Etcd::new(&settings(&server.endpoint)).expect("valid");
    let (value, values) = tokio::sync::watch::channel(b"1".to_vec());
    let stop = CancellationToken::new();
    let place = Place { key: "/here/a".to_owned(), memory: "/known/a".to_owned() };
    let held = tokio::spawn(hold(etcd.clone(), place, values, stop.clone()));
    let holds = async |wanted: Option<&[u8]>| {
        until(&format!("it holds {wanted:?}"), LIMIT, async || match etcd.get("/here/a").await {
            Ok(entry) => entry.map(|entry| entry.value).as_deref() == wanted,
            Err(_) => false,
        })
        .await;
    };
    holds(Some(b"1")).await;
    value.send(b"2".to_vec()).expect("somebody listens");
    holds(Some(b"2")).await;

    // Somebody revokes the lease.
    let leases = server.ctl(&["lease", "list"]);
    let lease = leases.lines().last().expect("one lease").trim().to_owned();
    server.ctl(&["lease", "revoke", &lease]);
    holds(Some(b"2")).await;

    // Etcd is made anew.
    server.lose();
    server.start_again();
    holds(Some(b"2")).await;

    stop.cancel();
    held.await.expect("it ends");
    holds(None).await;
    assert_eq!(etcd.get("/known/a").await.expect("up").expect("it stays").value, b"2");
}

#[tokio::test]
async fn over_a_way_that_delays_answers_and_cuts_them_off_a_watch_comes_to_what_is_there() {
    let server = EtcdServer::start("etcd-rough", &[]);
    let mut dice = Dice::thrown();
    let way = RoughWay::to(&server.endpoint, 8000, dice.roll()).await;
    let smooth = Etcd::new(&settings(&server.endpoint)).expect("settings");
    let rough = Etcd::new(&settings(&way.endpoint)).expect("settings");
    let mut listener = Listener::start(&rough, Range::Prefix("/p/".to_owned()));
    let mut state = std::collections::BTreeMap::new();
    for number in 0..300 {
        let key = format!("/p/{}", dice.within(0..9));
        if dice.within(0..5) == 0 {
            smooth.write(Change { deletes: vec![key.clone()], ..Change::default() }).await.expect("deleted");
            state.remove(&key);
        } else {
            let value = format!("{number} {}", "x".repeat(dice.within(0..100) as usize));
            smooth.write(put(&key, &value)).await.expect("written");
            state.insert(key, value);
        }
        tokio::time::sleep(Duration::from_millis(dice.within(0..20))).await;
    }
    listener.listen("what is there", |listener| listener.state == state).await;
    assert!(way.cut() > 0, "it never broke off");
}
