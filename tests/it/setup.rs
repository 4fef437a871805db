//! `logdrive setup`: topics are made as they were asked for, and what is there is left alone.

use crate::rig::{Program, Site, kafka, services};

/// What a command prints, and its exit code.
fn setup(site: &Site, arguments: &[&str]) -> (Option<i32>, String) {
    let output = site.command("setup").args(arguments).output().expect("the program was built");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn missing_topics_are_made_once_as_they_were_asked_for_and_a_dry_run_makes_none() {
    let site = Site::without_topics("setup", services::kafka(), services::elasticsearch());
    let (topic, letters) = (site.topic.as_str(), site.dead_letters.as_str());

    let (code, said) = setup(&site, &["kafka", "--dry-run", "--partitions", "3"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("✓ {topic}: would be made, partitions: 3")), "{said}");
    assert_eq!(kafka::partitions(&site.kafka, topic), None, "a dry run makes nothing");

    let (code, said) = setup(&site, &["kafka", topic, "--partitions", "3", "--topic-config", "retention.ms=86400000"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(kafka::partitions(&site.kafka, topic), Some(3));
    assert_eq!(kafka::partitions(&site.kafka, letters), None, "only one topic was asked for");

    let (code, said) = setup(&site, &["--dry-run"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("✓ {topic}: is there, partitions: 3, replication: 1")), "{said}");
    assert!(said.contains(&format!("✓ {letters}: would be made")), "{said}");

    let asked = ["kafka", "--partitions", "6", "--replication-factor", "1", "--topic-config", "retention.ms=1"];
    let (code, said) = setup(&site, &asked);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("! {topic}: has 3 partitions, not 6")), "{said}");
    assert!(said.contains(&format!("! {topic}: has retention.ms=86400000, not 1")), "{said}");
    assert_eq!(kafka::partitions(&site.kafka, topic), Some(3), "what is there is left alone");
    assert_eq!(kafka::partitions(&site.kafka, letters), Some(6));

    let mut agent: Program = site.agent();
    agent.ready().await;
    agent.stop_well().await;
}

#[tokio::test]
async fn a_topic_that_the_brokers_do_not_want_is_told_and_the_others_are_made() {
    let site = Site::without_topics("setup-bad", services::kafka(), services::elasticsearch());
    let (topic, letters) = (site.topic.as_str(), site.dead_letters.as_str());
    for asked in
        [&["--topic-config", "retention.ms=soon"][..], &["--replication-factor", "7"], &["--topic-config", "no.such=1"]]
    {
        let (code, said) = setup(&site, &[&["kafka", topic][..], asked].concat());
        assert_eq!(code, Some(1), "{asked:?}: {said}");
        assert!(said.contains(&format!("✗ {topic}: ")) && said.contains("hint:"), "{asked:?}: {said}");
        let (code, dry) = setup(&site, &[&["kafka", topic, "--dry-run"][..], asked].concat());
        assert_eq!((code, dry), (Some(1), said), "a dry run tells the same");
    }
    let (code, said) = setup(&site, &["kafka", "no-such-topic"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(topic) && said.contains(letters), "which topics it may be: {said}");
    assert_eq!(kafka::partitions(&site.kafka, topic), None);
}
