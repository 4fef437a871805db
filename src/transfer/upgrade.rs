//! The servers may be another version than they were when we started: they are asked again when they come back from an
//! outage, and now and then, for an upgrade node by node is no outage.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, time::timeout};
use tracing::{debug, info, warn};

use crate::elastic::{Client, Server, bulk};

/// How often the servers are asked who they are if there is no reason to.
const ASK_EVERY: Duration = Duration::from_secs(600);

/// What has to follow an upgrade of the servers.
pub(super) struct Upgrade {
    pub(super) client: Client,
    pub(super) sender: Arc<bulk::Sender>,
    /// The pattern of the index template, if it is ours to install.
    pub(super) pattern: Option<String>,
    pub(super) is_data_stream: bool,
    /// What the servers were when they were last asked.
    pub(super) server: Server,
}

impl Upgrade {
    /// Watches for ever; `back` tells of each return from an outage.
    pub(super) async fn watch(mut self, back: Arc<Notify>) {
        loop {
            // Whichever ends the wait, the question is the same.
            let _ = timeout(ASK_EVERY, back.notified()).await;
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let server = match self.client.server().await {
            Ok(server) if server == self.server => return,
            Ok(server) => server,
            // Requests meet the same, and say so.
            Err(error) => return debug!(%error, "the servers could not be asked who they are"),
        };
        let done = super::prepare_once(&self.client, self.pattern.as_deref(), self.is_data_stream).await;
        if let Err(error) = done {
            return warn!(%error, before = %self.server, now = %server, "the index template of upgraded servers is looked at again later");
        }
        info!(before = %self.server, now = %server, "the servers are another version now");
        self.sender.now_for(&server);
        self.server = server;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::{Router, extract::State, http::Request, response::IntoResponse};
    use serde_json::json;

    use super::{Arc, Client, Duration, Server, Upgrade, bulk};
    use crate::elastic::{Flavor, Settings};

    #[derive(Default)]
    struct World {
        version: &'static str,
        asked: Vec<String>,
    }

    type Shared = Arc<Mutex<World>>;

    async fn answer(State(world): State<Shared>, request: Request<axum::body::Body>) -> axum::response::Response {
        let mut world = world.lock().expect("no test panics with it");
        let asked = format!("{} {}", request.method(), request.uri());
        let answer = match asked.as_str() {
            "GET /" => json!({ "version": { "number": world.version }, "tagline": "You Know, for Search" }).to_string(),
            _ if asked.contains("_bulk") => r#"{"errors":false,"items":[{"create":{"status":201}}]}"#.to_owned(),
            _ if asked.starts_with("GET") => return axum::http::StatusCode::NOT_FOUND.into_response(),
            _ => "{}".to_owned(),
        };
        world.asked.push(asked);
        answer.into_response()
    }

    #[tokio::test]
    async fn servers_that_were_upgraded_get_their_template_and_what_they_can_now() {
        let world = Shared::default();
        world.lock().expect("no test panics with it").version = "8.12.0";
        let router = Router::new().fallback(answer).with_state(Arc::clone(&world));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let settings =
            Settings { urls: vec![format!("http://{}", listener.local_addr().expect("bound"))], ..Settings::default() };
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = Client::new(&settings).expect("a client");
        let server = Server { flavor: Flavor::Elasticsearch, version: (8, 12, 0) };
        let sender = Arc::new(bulk::Sender::new(client.clone(), &server, &settings, true));
        let (pattern, is_data_stream) = (Some("logs-*".to_owned()), true);
        let upgrade = Upgrade { client, sender: Arc::clone(&sender), pattern, is_data_stream, server };
        let back = Arc::default();
        tokio::spawn(upgrade.watch(Arc::clone(&back)));

        let asked = |what: &str| {
            let world = world.lock().expect("no test panics with it");
            world.asked.iter().filter(|asked| asked.contains(what)).count()
        };
        let send = async || {
            let mut body = sender.body();
            body.push("logs-a", Some("1"), |out| out.extend_from_slice(b"{}"));
            assert_eq!(sender.send(&mut body).await.expect("an answer").created(), 1);
        };
        back.notify_one();
        send().await;
        assert_eq!((asked("PUT"), asked("require_data_stream")), (0, 0), "it is the same");
        world.lock().expect("no test panics with it").version = "9.1.0";
        back.notify_one();
        tokio::time::timeout(Duration::from_secs(60), async {
            while asked("require_data_stream") == 0 {
                send().await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("in time");
        assert_eq!(asked("PUT /_index_template/logdrive-logs-any"), 1);
    }
}
