//! TLS, certificates, users and tokens: each as it should be, and each wrong, with the words that say what to do.

use std::{path::Path, process::Output, time::Duration};

use crate::{
    rig::{
        Program, Site, corpus, kafka,
        secure::{PASSWORD, SecureBroker, USER},
        services, until,
    },
    road::settled,
};

const LIMIT: Duration = Duration::from_secs(90);

/// What a client is told of the kafka it is to use.
type Settings<'a> = &'a [(&'a str, toml::Value)];

#[tokio::test]
async fn check_lets_in_who_is_right_and_says_what_is_wrong_with_the_others() {
    let mut site = Site::without_topics("access", "", "http://127.0.0.1:1");
    let broker = SecureBroker::start("access", &site.dir.clone());
    for table in ["agent", "transfer", "elasticsearch"] {
        site.unset(table);
    }
    let (ca, other_ca) = (broker.file("ca.pem"), broker.file("other-ca.pem"));
    let password = site.dir.join("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).expect("the site can be written");
    let tls = ("tls", true.into());
    let trusts = |file: &str| ("ca_file", file.to_owned().into());
    let own = |name: &str| {
        let (file, key) = (broker.file(&format!("{name}.pem")), broker.file(&format!("{name}.key")));
        [("certificate_file", file.into()), ("key_file", key.into())]
    };
    let user = |mechanism: &str, file: &Path| {
        let file = file.display().to_string();
        [("username", USER.into()), ("mechanism", mechanism.into()), ("password_file", file.into())]
    };
    let safe: [(&str, toml::Value); 2] = [tls, trusts(&ca)];
    let token = |seconds| ("token_file", broker.token(seconds).display().to_string().into());

    for (servers, settings) in [
        (&broker.tls, safe.to_vec()),
        (&broker.mutual, with(&safe, &own("client"))),
        (&broker.users, with(&safe, &user("PLAIN", &password))),
        (&broker.users, with(&safe, &user("SCRAM-SHA-256", &password))),
        (&broker.users, with(&safe, &user("SCRAM-SHA-512", &password))),
        (&broker.users, with(&safe, &[token(600)])),
    ] {
        let (output, said) = check(&mut site, servers, &settings);
        assert_eq!(output.status.code(), Some(0), "{settings:?}:\n{said}");
        assert!(said.contains("1 broker of cluster"), "{said}");
    }

    let wrong = site.dir.join("wrong");
    std::fs::write(&wrong, "hunter2").expect("the site can be written");
    for (servers, settings, reason, hint) in [
        (&broker.tls, vec![], "", "set kafka.tls = true"),
        (&broker.plain, safe.to_vec(), "", "set kafka.tls = false"),
        (&broker.tls, with(&safe[..1], &[trusts(&other_ca)]), "certificate verify failed", "check that kafka.ca_file"),
        (&broker.mutual, safe.to_vec(), "", "check kafka.certificate_file and kafka.key_file"),
        (&broker.mutual, with(&safe, &own("stranger")), "", "check kafka.certificate_file and kafka.key_file"),
        (&broker.users, with(&safe, &user("SCRAM-SHA-512", &wrong)), "uthentication failed", "check kafka.username"),
        (&broker.users, with(&safe, &user("PLAIN", &wrong)), "uthentication failed", "check kafka.username"),
        (&broker.users, with(&safe, &[token(-600)]), "", "kafka.token_file"),
        (&broker.users, safe.to_vec(), "", "set kafka.username"),
    ] {
        let (output, said) = check(&mut site, servers, &settings);
        assert_eq!(output.status.code(), Some(1), "{settings:?}:\n{said}");
        assert!(
            said.contains(servers.as_str()) && said.contains(reason) && said.contains(hint),
            "{settings:?}:\n{said}"
        );
        assert!(!said.contains("hunter2") && !said.contains(PASSWORD), "a secret is shown:\n{said}");
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_expired_certificate_are_waited_out() {
    let mut site = Site::without_topics("secure", "", services::elasticsearch());
    let broker = SecureBroker::start("secure", &site.dir.clone());
    site.kafka.clone_from(&broker.plain);
    kafka::create(&broker.plain, &site.topic, 3).await;
    kafka::create(&broker.plain, &site.dead_letters, 1).await;
    site.set("kafka.bootstrap_servers", broker.users.clone());
    site.set("kafka.tls", true);
    site.set("kafka.ca_file", broker.file("ca.pem"));
    site.set("kafka.username", USER);
    site.set("kafka.password", "not yet hunter2");
    let files = corpus::files(&site.logs(), 11, 4, 500);
    corpus::write_whole(&files[..2]);
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    for program in [&agent, &transfer] {
        says(program, "check kafka.username").await;
    }
    broker.set_password("not yet hunter2");
    agent.ready().await;
    transfer.ready().await;
    settled(&site, &files[..2]).await;

    broker.start_again_with_certificate(-1);
    corpus::write_whole(&files[2..]);
    for program in [&agent, &transfer] {
        says(program, "has not expired").await;
        assert_eq!(program.get("/livez").await.0, 200, "who waits is alive");
    }
    broker.start_again_with_certificate(30);
    settled(&site, &files).await;
    for program in [&mut agent, &mut transfer] {
        program.ready().await;
        let (output, (_, metrics)) = (program.output(), program.get("/metrics").await);
        assert!(!output.contains("hunter2") && !metrics.contains("hunter2"), "a secret is shown:\n{output}");
    }
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}

/// Both.
fn with<'a>(settings: Settings<'a>, more: Settings<'a>) -> Vec<(&'a str, toml::Value)> {
    [settings, more].concat()
}

/// Waits until a program says that it isn't ready, with these words.
async fn says(program: &Program, words: &str) {
    until("alive", LIMIT, async || program.answers("/livez").await).await;
    until(words, LIMIT, async || {
        let (status, body) = program.get("/readyz").await;
        status == 503 && body.contains(words)
    })
    .await;
}

/// What `logdrive check` says with these settings of kafka's, and no others.
fn check(site: &mut Site, servers: &str, settings: Settings) -> (Output, String) {
    let mut table = toml::Table::new();
    table.insert("bootstrap_servers".to_owned(), servers.into());
    table.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    site.set("kafka", table);
    let output = site.command("check").output().expect("the program was built");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output, String::from_utf8_lossy(&said).into_owned())
}
