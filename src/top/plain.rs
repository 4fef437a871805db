//! Without a terminal: the processes and a table each round, or all views as JSON.

use std::{
    io::{self, Write},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::time::{MissedTickBehavior, interval};

use super::{Round, client::Asking, views::View};

pub(super) async fn run(
    asking: Asking,
    every: Duration,
    count: Option<u64>,
    view: View,
    is_json: bool,
) -> anyhow::Result<()> {
    let mut due = interval(every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut processes = Vec::new();
    let mut rounds = 0;
    // Rates take two answers, so the first round is only asked.
    while count.is_none_or(|count| rounds <= count) {
        due.tick().await;
        let (seen, trouble) = asking.round(processes).await;
        let round = Round { processes: seen, trouble };
        if rounds > 0 {
            let mut out = io::stdout().lock();
            if is_json {
                write_json(&round, &mut out)?
            } else {
                write_tables(&round, view, &mut out)?
            };
            out.flush()?;
        }
        processes = round.processes;
        rounds += 1;
    }
    Ok(())
}

fn write_tables(round: &Round, view: View, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ"))?;
    if let Some(trouble) = &round.trouble {
        writeln!(out, "{trouble}")?;
    }
    let views = [View::Processes, view];
    for view in views.iter().take(if view == View::Processes { 1 } else { 2 }) {
        let mut table = view.table(&round.processes);
        table.sort(view.order());
        if table.rows.is_empty() {
            continue;
        }
        let (head, rows) = table.lines(None);
        writeln!(out, "{head}")?;
        rows.iter().try_for_each(|row| writeln!(out, "{row}"))?;
        writeln!(out)?;
    }
    Ok(())
}

fn write_json(round: &Round, out: &mut impl Write) -> io::Result<()> {
    let mut object = Map::new();
    object.insert("time".to_owned(), Value::String(Timestamp::now().to_string()));
    if let Some(trouble) = &round.trouble {
        object.insert("trouble".to_owned(), Value::String(trouble.clone()));
    }
    for view in View::ALL {
        let mut table = view.table(&round.processes);
        table.sort(view.order());
        object.insert(view.name().to_owned(), table.json());
    }
    writeln!(out, "{}", Value::Object(object))
}
