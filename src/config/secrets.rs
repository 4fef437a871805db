//! Secrets and what they belong to: each is given in one way, and says who we are in one way.

use super::{Config, rules::Broken};

/// Adds what is broken of the rules for secrets. No file is read: that is for whoever uses the secret.
pub(super) fn broken(config: &Config, broken: &mut Broken) {
    let (kafka, elastic, etcd) = (&config.kafka, &config.elasticsearch, &config.etcd);
    let in_two_ways = [
        ("kafka.password", kafka.password.is_some() && kafka.password_file.is_some()),
        ("kafka.key_password", kafka.key_password.is_some() && kafka.key_password_file.is_some()),
        ("elasticsearch.password", elastic.password.is_some() && elastic.password_file.is_some()),
        ("elasticsearch.api_key", elastic.api_key.is_some() && elastic.api_key_file.is_some()),
        ("etcd.password", etcd.password.is_some() && etcd.password_file.is_some()),
        ("elasticsearch.bearer_token", elastic.bearer_token.is_some() && elastic.bearer_token_file.is_some()),
    ];
    for (path, _) in in_two_ways.iter().filter(|(_, in_two_ways)| *in_two_ways) {
        let file = format!("{path}_file");
        broken.add_two(path, &file, format!("{path} and {file} are both set"), "leave one of them out");
    }
    let password = if elastic.password_file.is_some() { "password_file" } else { "password" };
    let api_key = if elastic.api_key_file.is_some() { "api_key_file" } else { "api_key" };
    let token = if elastic.bearer_token_file.is_some() { "bearer_token_file" } else { "bearer_token" };
    let has_password = elastic.password.is_some() || elastic.password_file.is_some();
    let ways = [
        ("username", elastic.username.is_some() || has_password),
        (api_key, elastic.api_key.is_some() || elastic.api_key_file.is_some()),
        (token, elastic.bearer_token.is_some() || elastic.bearer_token_file.is_some()),
    ];
    let mut ways = ways.iter().filter(|(_, is_set)| *is_set).map(|(setting, _)| format!("elasticsearch.{setting}"));
    if let (Some(first), Some(second)) = (ways.next(), ways.next()) {
        let what = format!("{first} and {second} both say who we are");
        broken.add_two(&second, &first, what, "leave one of them out");
    }
    match (elastic.username.is_some(), has_password) {
        (true, false) => broken.add(
            "elasticsearch.username",
            "elasticsearch.username has no password",
            "add elasticsearch.password_file, or elasticsearch.password",
        ),
        (false, true) => broken.add(
            &format!("elasticsearch.{password}"),
            format!("elasticsearch.{password} has no username"),
            "add elasticsearch.username",
        ),
        _ => (),
    }
}
