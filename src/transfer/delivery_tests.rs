//! The delivery against a store that does as it is told, item by item.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};
use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{Delivery, Parcel, Stopped, Stretch};
use crate::{
    elastic::{self, Client, Flavor, Server, bulk},
    kafka::{self, AssignmentId},
    letter::Origin,
    metrics::Health,
    record::{Budget, Span},
    transfer::{dead_letter::DeadLetters, inquiry, returns::Returns},
};

const LIMIT: Duration = Duration::from_secs(60);

/// The store: what it has, and how it behaves.
#[derive(Default)]
struct World {
    /// The ids in it, by index.
    taken: BTreeMap<String, BTreeSet<String>>,
    duplicates: usize,
    requests: usize,
    /// Items that came for each index, taken or not.
    came: BTreeMap<String, usize>,
    /// Indices that take no documents.
    blocked: HashSet<String>,
    /// Of so many items, the first is too much each time that it comes, until it came so often.
    busy: Option<(usize, usize)>,
    seen: BTreeMap<String, usize>,
    /// The document whose new field is always in the way of another's.
    raced: Option<usize>,
    /// Requests that are larger than this are too much.
    bytes_max: Option<usize>,
    /// What is said to every request.
    says: Option<StatusCode>,
}

type Shared = Arc<Mutex<World>>;

impl World {
    fn item(&mut self, index: &str, id: &str, document: &Value) -> Value {
        let told = |status: u16, kind: &str| json!({ "create": { "status": status, "error": { "type": kind, "reason": "r" } } });
        *self.came.entry(index.to_owned()).or_default() += 1;
        if self.blocked.contains(index) {
            return told(403, "cluster_block_exception");
        }
        if self.raced.is_some_and(|n| document["n"] == n) {
            let reason = "mapper [a] cannot be changed from type [long] to [float]";
            let kind = "illegal_argument_exception";
            return json!({ "create": { "status": 400, "error": { "type": kind, "reason": reason } } });
        }
        if document["wrong"] == true {
            return told(400, "document_parsing_exception");
        }
        let seen = self.seen.entry(id.to_owned()).or_default();
        *seen += 1;
        if self.busy.is_some_and(|(every, times): (usize, usize)| {
            (document["n"].as_u64().unwrap_or(0) as usize).is_multiple_of(every) && *seen <= times
        }) {
            return told(429, "es_rejected_execution_exception");
        }
        if !self.taken.entry(index.to_owned()).or_default().insert(id.to_owned()) {
            self.duplicates += 1;
            return told(409, "version_conflict_engine_exception");
        }
        json!({ "create": { "status": 201 } })
    }
}

async fn bulk_request(State(world): State<Shared>, body: String) -> axum::response::Response {
    let mut world = world.lock().expect("no test panics with it");
    world.requests += 1;
    if let Some(status) = world.says {
        return (status, r#"{"error":{"type":"said","reason":"so"}}"#).into_response();
    }
    if world.bytes_max.is_some_and(|most| body.len() > most) {
        let error = json!({ "error": { "type": "es_rejected_execution_exception", "reason": "too much" } });
        return (StatusCode::TOO_MANY_REQUESTS, error.to_string()).into_response();
    }
    let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let items: Vec<Value> = lines
        .chunks(2)
        .map(|item| {
            let action = &item[0]["create"];
            world.item(action["_index"].as_str().expect("text"), action["_id"].as_str().expect("text"), &item[1])
        })
        .collect();
    let errors = items.iter().any(|item| item["create"]["error"].is_object());
    json!({ "errors": errors, "items": items }).to_string().into_response()
}

/// A delivery at work.
struct Bench {
    world: Shared,
    parcels: Sender<Parcel>,
    settled: Receiver<Arc<Stretch>>,
    returns: Arc<Returns>,
    health: Health,
    budget: Budget,
    sender: Arc<bulk::Sender>,
    /// Documents that were made.
    made: usize,
    _kafka: MockCluster<'static, DefaultProducerContext>,
}

async fn start(held_max: usize) -> Bench {
    let world = Shared::default();
    let router = Router::new().route("/_bulk", post(bulk_request)).with_state(Arc::clone(&world));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let urls = vec![format!("http://{}", listener.local_addr().expect("bound"))];
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = elastic::Settings { urls, ..elastic::Settings::default() };
    let server = Server { flavor: Flavor::Elasticsearch, version: (8, 19, 0) };
    let sender = Arc::new(bulk::Sender::new(Client::new(&settings).expect("a client"), &server, &settings, false));
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let to_kafka = kafka::Settings { bootstrap_servers: cluster.bootstrap_servers(), ..kafka::Settings::default() };
    let letters = Arc::new(DeadLetters::open(&to_kafka, "dead").expect("a producer"));
    let (parcels, parcels_out) = mpsc::channel(4);
    let (settled_in, settled) = mpsc::channel(1024);
    let (returns, health) = (Arc::new(Returns::default()), Health::default());
    let stopped = Stopped::new(held_max, Arc::clone(&returns));
    let delivery =
        Delivery::new(Arc::clone(&sender), letters, settled_in, health.part("store"), stopped, Arc::default(), 4);
    tokio::spawn(delivery.run(parcels_out, inquiry::part().1));
    let budget = Budget::new(64 << 20);
    Bench { world, parcels, settled, returns, health, budget, sender, made: 0, _kafka: cluster }
}

impl Bench {
    /// Sends a parcel of one stretch for each of `indices`, of `count` documents each, and returns the stretches.
    /// Stretch and assignment have the number of the first document.
    async fn send(&mut self, indices: &[&str], count: usize) -> Vec<Arc<Stretch>> {
        let body = self.sender.body();
        let permit = self.budget.take(count * indices.len() * 100).await;
        let mut parcel = Parcel::new(body, permit);
        let mut stretches = Vec::new();
        for index in indices {
            let start = self.made as u64;
            let source = (AssignmentId(start), 0);
            let stretch = Stretch::new(Span { source, start, end: start + count as u64, mark: () });
            let origin = Origin { topic: "app".into(), partition: 0, offset: start, timestamp_ms: None };
            parcel.begin(&stretch, &origin);
            assert!(!stretch.release(), "the worker is done, the parcel is not");
            for _ in 0..count {
                let n = self.made;
                let document = json!({ "n": n, "wrong": index.contains("wrong") && n.is_multiple_of(2) }).to_string();
                parcel.body.push(index, Some(&n.to_string()), |out| out.extend_from_slice(document.as_bytes()));
                parcel.note_item(0);
                self.made += 1;
            }
            stretches.push(stretch);
        }
        self.parcels.send(parcel).await.expect("the delivery lives");
        stretches
    }

    /// Waits until so many stretches are settled; in order of their numbers.
    async fn settled(&mut self, count: usize) -> Vec<u64> {
        let mut starts = Vec::new();
        for _ in 0..count {
            let stretch = tokio::time::timeout(LIMIT, self.settled.recv()).await.expect("in time");
            starts.push(stretch.expect("the delivery lives").span.start);
        }
        starts.sort_unstable();
        starts
    }

    fn has(&self, index: &str) -> usize {
        self.world.lock().expect("no test panics with it").taken.get(index).map_or(0, BTreeSet::len)
    }

    fn set(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.lock().expect("no test panics with it"));
    }

    async fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let wait = async {
            while !is(self) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("{what} in time"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_blocked_stops_itself_alone_and_recovers_by_itself() {
    let mut bench = start(1 << 20).await;
    bench.set(|world| world.blocked.extend(["bad".to_owned()]));
    for _ in 0..20 {
        bench.send(&["good", "bad"], 100).await;
    }
    let good: Vec<u64> = (0..20).map(|parcel| parcel * 200).collect();
    assert_eq!(bench.settled(20).await, good);
    assert_eq!((bench.has("good"), bench.has("bad")), (2000, 0));
    bench
        .until("the reason is shown", |bench| format!("{:?}", bench.health.report()).contains("the index bad takes"))
        .await;
    assert!(bench.returns.is_stalled(AssignmentId(100)) && !bench.returns.is_stalled(AssignmentId(0)));
    // What came before it was known to be blocked, and then single probes.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let came = bench.world.lock().expect("no test panics with it").came["bad"];
    assert!(came < 4 * 100 + 20, "{came} documents were sent to a blocked index");

    bench.set(|world| world.blocked.clear());
    bench.settled(20).await;
    assert_eq!(bench.has("bad"), 2000);
    // The last parcel gives its share back right behind its receipt.
    bench.until("the budget is free", |bench| bench.budget.in_flight() == 0).await;
    assert_eq!(bench.world.lock().expect("no test panics with it").duplicates, 0);
    assert!(bench.health.is_ready());
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_for_a_blocked_index_is_given_back_and_read_again_when_it_is_not_any_more() {
    let mut bench = start(20_000).await;
    bench.set(|world| world.blocked.extend(["bad".to_owned()]));
    let mut mine = bench.send(&["bad", "good"], 100).await;
    mine.truncate(1);
    let mut given_back = HashSet::new();
    // The second time, what was left to probe with is there too.
    for _ in 0..2 {
        let newest = mine.len() - 1;
        while !mine[newest].is_over() {
            mine.extend(bench.send(&["bad"], 100).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (dropped, again) = bench.returns.take();
        assert!(again.is_empty());
        given_back.extend(dropped);
        mine.extend(bench.send(&["bad"], 100).await);
    }
    assert!(given_back.contains(&AssignmentId(0)) && !given_back.contains(&AssignmentId(100)));
    assert_eq!(bench.settled(1).await, [100], "the good one of the same parcel is settled");
    // One document is left, to probe with; what was dropped holds nothing of the budget.
    let over = mine.iter().filter(|stretch| stretch.is_over()).count();
    assert!(over >= 2 && bench.budget.in_flight() <= 20_000, "{}", bench.budget.in_flight());

    bench.set(|world| world.blocked.clear());
    bench.until("the probe is taken", |bench| bench.has("bad") > 0).await;
    bench.until("it is said to be read again", |bench| bench.returns.take().1 == given_back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_of_the_items_too_much_again_and_again_arrive_all_and_none_is_sent_twice() {
    let mut bench = start(1 << 20).await;
    bench.set(|world| world.busy = Some((3, 3)));
    for _ in 0..10 {
        bench.send(&["a", "b"], 300).await;
    }
    bench.settled(20).await;
    let world = bench.world.lock().expect("no test panics with it");
    assert_eq!((world.taken["a"].len(), world.taken["b"].len(), world.duplicates), (3000, 3000, 0));
    assert_eq!(world.came.values().sum::<usize>(), 6000 + 3 * 2000, "only what was turned away was sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_items_busy_ones_and_good_ones_in_one_body_each_have_their_own_way() {
    let mut bench = start(1 << 20).await;
    bench.set(|world| world.busy = Some((5, 1)));
    bench.send(&["wrong"], 1000).await;
    bench.settled(1).await;
    // Every other document is wrong and lies in the dead letters; settled means that Kafka has them.
    assert_eq!(bench.has("wrong"), 500);
    assert_eq!(bench.world.lock().expect("no test panics with it").duplicates, 0);
    assert!(bench.health.is_ready(), "a document that is refused is no trouble");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_whose_new_field_meets_others_is_sent_again_until_it_is_taken_or_a_dead_letter() {
    let mut bench = start(1 << 20).await;
    bench.set(|world| world.raced = Some(3));
    bench.send(&["a"], 10).await;
    bench
        .until("it came a second time", |bench| bench.world.lock().expect("no panic").came.get("a") >= Some(&12))
        .await;
    bench.set(|world| world.raced = None);
    bench.settled(1).await;
    assert_eq!(bench.has("a"), 10);
    bench.set(|world| world.raced = Some(17));
    bench.send(&["b"], 10).await;
    bench.settled(1).await;
    let came = bench.world.lock().expect("no test panics with it").came["b"];
    assert_eq!((bench.has("b"), came), (9, 10 + 5), "it is a dead letter in the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_much_for_the_servers_even_alone_is_sent_in_parts() {
    let mut bench = start(1 << 20).await;
    bench.set(|world| world.bytes_max = Some(10_000));
    bench.send(&["a"], 1500).await;
    bench.settled(1).await;
    assert_eq!((bench.has("a"), bench.budget.in_flight()), (1500, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_refuse_every_request_are_tried_until_they_are_mended_and_the_reason_is_shown() {
    let mut bench = start(1 << 20).await;
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::BAD_GATEWAY, StatusCode::NOT_FOUND] {
        bench.set(|world| world.says = Some(status));
        bench.send(&["a"], 10).await;
        let code = status.as_u16().to_string();
        bench.until("the reason is shown", |bench| format!("{:?}", bench.health.report()).contains(&code)).await;
        bench.set(|world| world.says = None);
        bench.settled(1).await;
        bench.until("it is well again", |bench| bench.health.is_ready()).await;
    }
    assert_eq!(bench.has("a"), 40);
}
