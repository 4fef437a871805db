//! The way to the store as it is in production: TLS signed by one's own authority, credentials of each kind, and a
//! server of several that is down.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::rig::{Site, index, kafka, ports, until};

const LIMIT: Duration = Duration::from_secs(90);

/// A TLS door before the shared Elasticsearch; closed when it is dropped.
struct Door {
    process: Child,
    url: String,
    authority: PathBuf,
    allowed: PathBuf,
}

impl Door {
    fn open(site: &Site) -> Self {
        let at = |name: &str| site.dir.join(name);
        let [authority, authority_key, key, request, certificate, names, allowed] =
            ["ca.pem", "ca.key", "es.key", "es.csr", "es.pem", "names", "allowed"].map(at);
        std::fs::write(&names, "subjectAltName=IP:127.0.0.1\n").expect("the site can be written");
        std::fs::write(&allowed, "").expect("the site can be written");
        let openssl = |arguments: &str, files: &[(&str, &PathBuf)]| {
            let mut command = Command::new("openssl");
            command.args(arguments.split(' '));
            for (flag, file) in files {
                command.arg(flag).arg(file);
            }
            let output = command.output().expect("openssl is installed (Debian package openssl)");
            assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let new = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(
            &format!("{new} -x509 -days 2 -subj /CN=authority"),
            &[("-keyout", &authority_key), ("-out", &authority)],
        );
        openssl(&format!("{new} -subj /CN=es"), &[("-keyout", &key), ("-out", &request)]);
        openssl(
            "x509 -req -days 2 -CAcreateserial",
            &[
                ("-in", &request),
                ("-CA", &authority),
                ("-CAkey", &authority_key),
                ("-extfile", &names),
                ("-out", &certificate),
            ],
        );
        let port = ports::free();
        let upstream = site.elasticsearch.trim_start_matches("http://");
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "python3"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rig/guarded.py"))
            .arg(port.to_string())
            .args([&certificate, &key])
            .arg(upstream)
            .arg(&allowed)
            .stdin(Stdio::null())
            .spawn()
            .expect("python3 is installed");
        Self { process, url: format!("https://127.0.0.1:{port}"), authority, allowed }
    }

    /// Lets in who comes with this `Authorization`, and no other.
    fn allow(&self, authorization: &str) {
        std::fs::write(&self.allowed, authorization).expect("the site can be written");
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Both fail only if it ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn lines_arrive_through_tls_with_each_kind_of_credentials_past_a_server_that_is_down() {
    let mut site = Site::new("tls").await;
    let door = Door::open(&site);
    let down = format!("https://127.0.0.1:{}", ports::free());
    site.set("elasticsearch.urls", vec![down, door.url.clone()]);
    kafka::produce(&site.kafka, &site.topic, &[], b"first");

    // Without the authority's certificate there is no trust, and the message says what to set.
    let transfer = site.transfer();
    until("it says what is wrong", LIMIT, async || {
        transfer.answers("/livez").await && transfer.get("/readyz").await.1.contains("elasticsearch.ca_file")
    })
    .await;
    transfer.kill();

    site.set("elasticsearch.ca_file", door.authority.display().to_string());
    let kinds = [
        // ada:secret and id:key in base64.
        (&[("username", "ada"), ("password", "secret")][..], "Basic YWRhOnNlY3JldA=="),
        (&[("api_key", "id:key")][..], "ApiKey aWQ6a2V5"),
        (&[("bearer_token", "a.token")][..], "Bearer a.token"),
    ];
    for (number, (settings, authorization)) in kinds.into_iter().enumerate() {
        let before = site.clone_settings();
        for (key, value) in settings {
            site.set(&format!("elasticsearch.{key}"), *value);
        }
        door.allow(authorization);
        let mut transfer = site.transfer();
        transfer.ready().await;
        kafka::produce(&site.kafka, &site.topic, &[], format!("line {number}").as_bytes());
        index::wait_for(&site.elasticsearch, &site.indices(), 2 + 2 * number).await;

        // Credentials that are withdrawn while it runs: alive, told once, and on it goes when they are good again.
        door.allow("");
        kafka::produce(&site.kafka, &site.topic, &[], format!("withheld {number}").as_bytes());
        until("it says that it may not", LIMIT, async || transfer.get("/readyz").await.1.contains("401")).await;
        assert_eq!(transfer.get("/livez").await.0, 200);
        tokio::time::sleep(Duration::from_secs(2)).await;
        door.allow(authorization);
        index::wait_for(&site.elasticsearch, &site.indices(), 3 + 2 * number).await;
        transfer.ready().await;
        let said = transfer.output();
        assert_eq!(said.matches("a bulk request failed").count(), number + 1, "once an outage:\n{said}");
        assert!(!said.contains("secret") && !said.contains("a.token"), "{said}");
        transfer.stop_well().await;
        site.restore_settings(before);
    }
}
