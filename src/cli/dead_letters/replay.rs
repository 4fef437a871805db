//! Letters are sent again, and what became of each is said.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use super::Replay;
use crate::{
    cli::{
        failure::{Told, Usage},
        service,
    },
    config::Config,
    letter::{Kind, Position, Summary},
    search::terminal::visible,
    transfer::dead_letter::{self, Fate, Filter},
};

/// So many are replayed in one run.
const AT_MOST: usize = 100_000;
/// So many that stay are told one by one.
const TOLD_MAX: u64 = 100;

pub(super) fn run(config: &Config, asked: &Replay) -> anyhow::Result<()> {
    let letters = choose(config, asked)?;
    if letters.is_empty() {
        println!("nothing to replay");
        return Ok(());
    }
    if asked.dry_run {
        plan(&letters).iter().for_each(|line| println!("{line}"));
        return Ok(());
    }
    let mut tally = Tally::default();
    let ended = service::threads(config)?.block_on(dead_letter::replay(
        config,
        letters.into_keys().collect(),
        |position, fate| tally.hear(position, &fate),
    ));
    println!("{}", tally.sum());
    ended?;
    if tally.stays == 0 { Ok(()) } else { Err(Told.into()) }
}

/// The letters that are meant; of one that isn't there nothing more is known.
fn choose(config: &Config, asked: &Replay) -> anyhow::Result<BTreeMap<Position, Option<Summary>>> {
    let topic = &config.transfer.dead_letter_topic;
    if !asked.positions.is_empty() {
        let positions: BTreeSet<Position> = asked.positions.iter().copied().collect();
        let mut letters: BTreeMap<Position, Option<Summary>> =
            positions.iter().map(|position| (*position, None)).collect();
        dead_letter::find(&config.kafka, topic, &positions, |position, value| {
            letters.insert(position, Summary::read(&value));
            ControlFlow::Continue(())
        })?;
        return Ok(letters);
    }
    if !asked.all && !asked.which.is_any() {
        let hint = "name some by PARTITION:OFFSET, --reason, --task or --since, or say --all";
        return Err(Usage(format!("which letters are to be replayed?\nhint: {hint}")).into());
    }
    let filter: Filter = asked.which.filter(false)?;
    let shelf = super::look(config, &filter, AT_MOST)?;
    let (chosen, count) = (shelf.newest.len() as u64, shelf.count());
    if chosen < count || !shelf.is_whole {
        eprintln!("these are the newest {chosen}, and there are more: replay again for the others");
    }
    Ok(shelf.newest.into_iter().map(|(position, summary)| (position, Some(summary))).collect())
}

/// What would be sent where, in lines.
fn plan(letters: &BTreeMap<Position, Option<Summary>>) -> Vec<String> {
    let mut ways: BTreeMap<String, u64> = BTreeMap::new();
    for summary in letters.values() {
        let way = match summary {
            Some(letter) if letter.cut => "cut: would stay, for the whole is not in the letter".to_owned(),
            Some(Summary { kind: Kind::Document, index: Some(index), .. }) => {
                format!("would be sent to the index {}", visible(index))
            }
            Some(Summary { kind: Kind::Record, topic, .. }) => {
                format!("would be sent back to the topic {}", visible(topic))
            }
            _ => "no letter".to_owned(),
        };
        *ways.entry(way).or_default() += 1;
    }
    ways.into_iter().map(|(way, count)| format!("{count} {way}")).collect()
}

/// What became of the letters.
#[derive(Default)]
struct Tally {
    created: u64,
    present: u64,
    sent_back: u64,
    stays: u64,
}

impl Tally {
    fn hear(&mut self, position: Position, fate: &Fate) {
        let stays = match fate {
            Fate::Created => return self.created += 1,
            Fate::Present => return self.present += 1,
            Fate::SentBack => return self.sent_back += 1,
            Fate::Refused(why) => format!("refused again: {why}"),
            Fate::NotNow(why) => format!("not taken now: {why}"),
            Fate::Cut(origin) => format!("cut: the whole is at {origin}, as long as Kafka keeps it"),
            Fate::Absent => "no letter is there, or not any more".to_owned(),
        };
        self.stays += 1;
        if self.stays <= TOLD_MAX {
            println!("{position}  {}", visible(&stays));
        }
    }

    fn sum(&self) -> String {
        let Self { created, present, sent_back, stays } = self;
        format!("created: {created}, there already: {present}, sent back: {sent_back}, not replayed: {stays}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, Position, Summary, Tally, plan};

    const AT: Position = Position { partition: 0, offset: 9 };

    #[test]
    fn a_dry_run_says_how_many_would_go_where() {
        let read = |rest: &str| {
            Summary::read(format!(r#"{{"version":1,"time":"2026-01-01T00:00:01Z",{rest}}}"#).as_bytes())
                .expect("a letter")
        };
        let letters = [
            Some(read(r#""kind":"document","index":"logs-a""#)),
            Some(read(r#""kind":"document","index":"logs-a""#)),
            Some(read(r#""kind":"document","index":"logs-a","cut":true"#)),
            Some(read(r#""kind":"record","topic":"app""#)),
            None,
        ];
        let letters =
            letters.into_iter().zip(0..).map(|(letter, offset)| (Position { offset, ..AT }, letter)).collect();
        let said = plan(&letters).join("\n");
        let expected = "1 cut: would stay, for the whole is not in the letter\n1 no letter\n1 would be sent back to the topic \
                        app\n2 would be sent to the index logs-a";
        assert_eq!(said, expected);
    }

    #[test]
    fn each_fate_is_counted_once() {
        let mut tally = Tally::default();
        let fates = [
            Fate::Created,
            Fate::Present,
            Fate::SentBack,
            Fate::Refused("no".to_owned()),
            Fate::NotNow("busy".to_owned()),
            Fate::Cut("app/0/1".to_owned()),
            Fate::Absent,
        ];
        fates.iter().for_each(|fate| tally.hear(AT, fate));
        assert_eq!(tally.sum(), "created: 1, there already: 1, sent back: 1, not replayed: 4");
    }
}
