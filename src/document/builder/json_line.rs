//! The document of a line that is a JSON object.

use std::ops::Range;

use super::{Facts, Prepared, TimeFrom, push_member, push_tags};
use crate::{
    document::{
        Rule, Tags,
        json::{self, Member, path},
        labels,
        names::Name,
        time::{Clock, Moment},
    },
    record::{Level, json::push_escaped},
};

/// The rank of what a rule names: it comes before all that have one, and stays where it is.
const NAMED: u8 = u8::MAX;

/// A line that is a JSON object, and what of it stands for what of the document: a rank, of which the lowest
/// wins, and the value.
pub(super) struct JsonLine<'a> {
    json: &'a json::Reader,
    original: &'a [u8],
    rule: &'a Rule,
    message: Option<(u8, Message)>,
    moment: Option<(u8, Moment)>,
    level: Option<(u8, Level)>,
}

/// The string that is the message.
struct Message {
    /// Where it stands in the line.
    value: Range<usize>,
    /// The member at the root whose value it is; none if it stands deeper.
    member: Option<Member>,
}

impl<'a> JsonLine<'a> {
    pub(super) fn new(json: &'a json::Reader, original: &'a [u8], rule: &'a Rule, clock: &mut Clock) -> Self {
        let mut line = Self { json, original, rule, message: None, moment: None, level: None };
        for member in json.members() {
            let value = || &original[member.value(original)];
            match member.name {
                Name::Plain | Name::Ours | Name::Labels => (),
                Name::Message(rank) => {
                    if line.message.as_ref().is_none_or(|(best, _)| rank < *best) && value().starts_with(b"\"") {
                        let message = Message { value: member.value(original), member: Some(member) };
                        line.message = Some((rank, message));
                    }
                }
                Name::Time(rank) => {
                    if line.moment.is_none_or(|(best, _)| rank < best) {
                        line.moment = clock.of_json(value()).map(|moment| (rank, moment)).or(line.moment);
                    }
                }
                Name::Level(rank) => {
                    if line.level.is_none_or(|(best, _)| rank < best) {
                        line.level = level_of(value()).map(|level| (rank, level)).or(line.level);
                    }
                }
            }
        }
        line.take_named(clock);
        line
    }

    /// Takes what the rule names in the place of what names itself.
    fn take_named(&mut self, clock: &mut Clock) {
        let Self { json, original, rule, .. } = *self;
        let find = |key: &Option<String>| path::find(original, key.as_deref()?);
        if let Some(value) = find(&rule.message_key)
            && original[value.clone()].starts_with(b"\"")
        {
            let member = json.members().find(|member| member.value(original) == value);
            self.message = Some((NAMED, Message { value, member }));
        }
        let rank = |key: &Option<String>, ours| if key.as_deref() == Some(ours) { 0 } else { NAMED };
        if let Some(moment) = find(&rule.time_key).and_then(|value| clock.of_json(&original[value])) {
            self.moment = Some((rank(&rule.time_key, "@timestamp"), moment));
        }
        if let Some(level) = find(&rule.level_key).and_then(|value| level_of(&original[value])) {
            self.level = Some((rank(&rule.level_key, "log.level"), level));
        }
    }

    /// Whether the document has the member elsewhere already; its time only if `has_own_time`.
    fn is_used(&self, member: Member, has_own_time: bool) -> bool {
        let is_message = || self.message.as_ref().is_some_and(|(_, message)| message.member == Some(member));
        match member.name {
            Name::Plain | Name::Ours | Name::Labels => self.rule.message_key.is_some() && is_message(),
            Name::Message(_) => is_message(),
            Name::Time(rank) => has_own_time && rank == 0 && self.moment.is_some_and(|(best, _)| best == 0),
            Name::Level(rank) => rank == 0 && self.level.is_some_and(|(best, _)| best == 0),
        }
    }

    /// Whether the member has to go under `fields`.
    fn is_moved(&self, member: Member, source: &Prepared) -> bool {
        if member.name != Name::Labels {
            return member.name.is_moved();
        }
        let whole = &self.original[member.behind_mark()];
        let name = &whole[..whole.iter().position(|byte| *byte == b'"').unwrap_or(whole.len())];
        labels::collide(&source.labels, name, &self.original[member.value(self.original)])
    }

    pub(super) fn write(
        &self,
        clock: &mut Clock,
        source: &Prepared,
        facts: Facts,
        out: &mut Vec<u8>,
    ) -> (Moment, Option<Level>, Tags) {
        let Self { json, original, rule, .. } = *self;
        let (moment, time) = facts.moment(rule, self.moment.map(|(_, moment)| moment), TimeFrom::Field);
        let level = self.level();
        let mut tags = facts.tags;
        tags.add(json.tags());
        source.begin(clock, moment, out);
        match &self.message {
            Some((_, message)) => json.push(original, message.value.clone(), out),
            None => {
                out.push(b'"');
                push_escaped(original, out);
                out.push(b'"');
            }
        }
        source.push(level, &facts, time, out);
        // A line without a message of its own is the message already, whole.
        if tags.has_any(Tags::LEFT_OUT) && self.message.is_some() {
            push_member("logdrive.original", original, out);
        }
        push_tags(tags, out);
        self.push_members(source, matches!(time, TimeFrom::Field), out);
        out.push(b'}');
        (moment.unwrap_or(source.read), level, tags)
    }

    /// Appends the members that the document doesn't have elsewhere.
    pub(super) fn push_members(&self, source: &Prepared, has_own_time: bool, out: &mut Vec<u8>) {
        let Self { json, original, rule, .. } = *self;
        let members = json.members().filter(|member| !self.is_used(*member, has_own_time));
        match &rule.json_target {
            None => {
                for member in members {
                    out.extend_from_slice(if self.is_moved(member, source) { b",\"fields." } else { b",\"" });
                    json.push(original, member.behind_mark(), out);
                }
            }
            Some(target) => {
                out.extend_from_slice(b",\"");
                push_escaped(target.as_bytes(), out);
                let mut before = &b"\":{\""[..];
                for member in members {
                    out.extend_from_slice(before);
                    json.push(original, member.behind_mark(), out);
                    before = b",\"";
                }
                out.extend_from_slice(if before == b",\"" { b"}" } else { b"\":{}" });
            }
        }
    }

    /// Whether nothing is wrong with the line, and its own `@timestamp` and `message` are the document's.
    pub(super) fn names_itself(&self) -> bool {
        let is_own = |rank: Option<u8>| rank == Some(0);
        self.json.tags() == Tags::NONE
            && is_own(self.message.as_ref().map(|(rank, _)| *rank))
            && is_own(self.moment.map(|(rank, _)| rank))
    }

    /// The level that the line names.
    pub(super) fn level(&self) -> Option<Level> {
        self.level.map(|(_, level)| level)
    }
}

/// The level that a value names, which must be a string.
fn level_of(value: &[u8]) -> Option<Level> {
    let [b'"', word @ .., b'"'] = value else { return None };
    Level::parse(word)
}
