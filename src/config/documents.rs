//! What `[document]` must obey beyond its types.

use super::rules::Broken;
use crate::document::{self, Rule, TimeRule};

/// Adds what is broken of the rules for documents.
pub(super) fn broken(settings: &document::Settings, broken: &mut Broken) {
    for (index, one) in settings.rules.iter().enumerate() {
        rule(one, &format!("document.rules.{index}"), broken);
    }
}

fn rule(rule: &Rule, path: &str, broken: &mut Broken) {
    let keys = [("message_key", &rule.message_key), ("level_key", &rule.level_key), ("time_key", &rule.time_key)];
    for (name, key) in keys {
        if key.as_ref().is_some_and(|key| key.trim().is_empty()) {
            broken.add(&format!("{path}.{name}"), format!("{name} is empty"), "leave it out, or name a member");
        }
    }
    if let Some(target) = &rule.json_target
        && !document::is_free(target)
    {
        let hint = "choose another name, such as \"app\", or leave it out to have the members beside ours";
        broken.add(&format!("{path}.json_target"), format!("no object can be put under {target:?}"), hint);
    }
    if let Err(error) = rule.check_time_format() {
        let hint = "write it as strptime has it, as in \"%d.%m.%Y %H:%M:%S\"; %.f is a fraction, %z a zone";
        broken.add(&format!("{path}.time_format"), error.to_string(), hint);
    }
    let of_json =
        keys.map(|(name, key)| (name, key.is_some())).into_iter().chain([("json_target", rule.json_target.is_some())]);
    for (name, is_set) in of_json {
        if is_set && !rule.json {
            let what = format!("{name} is set, and json = false");
            broken.add(&format!("{path}.{name}"), what, "leave one of the two out");
        }
    }
    let of_time = [
        ("time_key", rule.time_key.is_some()),
        ("time_format", rule.time_format.is_some()),
        ("time_zone", rule.time_zone.is_some()),
    ];
    for (name, is_set) in of_time {
        if is_set && rule.time == TimeRule::Read {
            let what = format!("{name} is set, and time = \"read\" takes no time from a line");
            broken.add(&format!("{path}.{name}"), what, "leave one of the two out");
        }
    }
}
