//! What there is to see, each view a table: pure functions of what the processes said.

use super::{
    change::Change,
    process::Process,
    table::{Cell, Column, Mood, Order, Row, Table},
    units::Unit::{self, Bytes, Count, Seconds, Share, Text},
};
use crate::{
    inspect::{File, FileState},
    metrics::list,
    registry::{Role, Standing},
};

/// This much waiting is worth a look, and this much is wrong; in seconds.
const OLD: [f64; 2] = [60.0, 600.0];

/// A view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Tasks: how much is read, what is behind.
    #[default]
    Tasks,
    /// Files: those that are most behind.
    Files,
    /// What goes to Kafka by topic, and comes from it by partition.
    Kafka,
    /// What goes into the store.
    Store,
    /// The processes themselves.
    Processes,
}

/// What a view shows of a process.
type Rows = fn(&Process) -> Vec<Row>;

impl View {
    /// All of them, in the order of their keys.
    pub const ALL: [Self; 5] = [Self::Tasks, Self::Files, Self::Kafka, Self::Store, Self::Processes];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Files => "files",
            Self::Kafka => "kafka",
            Self::Store => "store",
            Self::Processes => "processes",
        }
    }

    /// By which column it is sorted as long as nobody says otherwise.
    pub(super) fn order(self) -> Order {
        let column = match self {
            Self::Tasks => 4,
            Self::Files => 4,
            Self::Kafka => 4,
            Self::Store | Self::Processes => 0,
        };
        Order { column, reversed: false }
    }

    /// The view as a table, not sorted.
    pub(super) fn table(self, processes: &[Process]) -> Table {
        let (columns, rows): (&[Column], Rows) = match self {
            Self::Tasks => (TASKS, tasks),
            Self::Files => (FILES, files),
            Self::Kafka => (KAFKA, kafka),
            Self::Store => (STORE, store),
            Self::Processes => (PROCESSES, |process| vec![itself(process)]),
        };
        Table { columns: columns.to_vec(), rows: processes.iter().flat_map(rows).collect() }
    }
}

const fn column(head: &'static str, key: &'static str, unit: Unit, weight: u8) -> Column {
    Column::new(head, key, unit, weight)
}

const TASKS: &[Column] = &[
    column("TASK", "task", Text, 9),
    column("PROCESS", "process", Text, 1),
    column("LINES/S", "lines_per_second", Count, 8),
    column("BYTES/S", "bytes_per_second", Bytes, 6),
    column("BEHIND", "behind_bytes", Bytes, 9),
    column("OLDEST", "oldest_unread_seconds", Seconds, 7),
    column("IN FLIGHT", "in_flight_lines", Count, 4),
    column("ACK P99", "acknowledge_p99_seconds", Seconds, 5),
    column("FILES", "files", Count, 3),
    column("DEAD", "dead_lettered_lines", Count, 2),
];

fn tasks(process: &Process) -> Vec<Row> {
    let Some(change) = process.change() else { return Vec::new() };
    let mut names = change.values(list::READ_LINES.name, "task");
    names.extend(change.values(list::UNREAD_BYTES.name, "task"));
    let row = |name: String| {
        let labels = &[("task", name.as_str())];
        let oldest = change.sum(list::OLDEST_UNREAD_SECONDS.name, labels);
        let failed = change.sum(list::FILES.name, &[labels[0], ("state", "failed")]).unwrap_or(0.0);
        Row {
            cells: vec![
                name.as_str().into(),
                process.name.as_str().into(),
                change.rate(list::READ_LINES.name, labels).into(),
                change.rate(list::READ_BYTES.name, labels).into(),
                change.sum(list::UNREAD_BYTES.name, labels).into(),
                oldest.into(),
                change.sum(list::IN_FLIGHT_LINES.name, labels).into(),
                change.quantile(list::ACKNOWLEDGE_LATENCY_SECONDS.name, labels, 0.99).into(),
                change.sum(list::FILES.name, labels).into(),
                change.sum(list::DEAD_LETTERED_LINES.name, labels).into(),
            ],
            mood: if failed > 0.0 { Mood::Bad } else { mood(oldest) },
        }
    };
    names.into_iter().map(row).collect()
}

const FILES: &[Column] = &[
    column("FILE", "path", Text, 9),
    column("TASK", "task", Text, 3),
    column("STATE", "state", Text, 4),
    column("BYTES/S", "bytes_per_second", Bytes, 7),
    column("BEHIND", "behind_bytes", Bytes, 8),
    column("UNSAFE", "read_and_not_safe_bytes", Bytes, 2),
    column("OLDEST", "oldest_unread_seconds", Seconds, 6),
    column("SIZE", "size_bytes", Bytes, 1),
];

fn files(process: &Process) -> Vec<Row> {
    let Some(reading) = process.state().and_then(|state| state.reading.as_ref()) else { return Vec::new() };
    let rates = process.file_rates();
    let row = |file: &File| {
        let is_unsafe = file.safe.map(|safe| file.read.saturating_sub(safe) as f64);
        Row {
            cells: vec![
                file.path.as_str().into(),
                file.task.as_str().into(),
                file.state.name().into(),
                rates.get(file.id.as_str()).copied().into(),
                Cell::Number(file.unread_bytes as f64),
                is_unsafe.into(),
                Some(file.oldest_unread_seconds.unwrap_or(0.0)).into(),
                Cell::Number(file.size as f64),
            ],
            mood: if file.state == FileState::Failed { Mood::Bad } else { mood(file.oldest_unread_seconds) },
        }
    };
    reading.files.each.iter().map(row).collect()
}

const KAFKA: &[Column] = &[
    column("TOPIC", "topic", Text, 9),
    column("PART", "partition", Text, 7),
    column("WAY", "way", Text, 5),
    column("RECORDS/S", "records_per_second", Count, 4),
    column("BYTES/S", "bytes_per_second", Bytes, 6),
    column("P50", "produce_p50_seconds", Seconds, 2),
    column("P99", "produce_p99_seconds", Seconds, 5),
    column("LAG", "lag_records", Count, 8),
    column("RETRIES/S", "retries_per_second", Count, 3),
    column("PROCESS", "process", Text, 1),
];

fn kafka(process: &Process) -> Vec<Row> {
    let Some(change) = process.change() else { return Vec::new() };
    let sent = change.values(list::SENT_BATCHES.name, "topic").into_iter().map(|topic| sent(process, change, &topic));
    let consumed = |topic: String| {
        let labels = &[("topic", topic.as_str())];
        Row {
            cells: vec![
                topic.as_str().into(),
                "all".into(),
                "in".into(),
                change.rate(list::CONSUMED_RECORDS.name, labels).into(),
                change.rate(list::CONSUMED_BYTES.name, labels).into(),
                Cell::Nothing,
                Cell::Nothing,
                change.sum(list::CONSUMER_LAG.name, labels).into(),
                Cell::Nothing,
                process.name.as_str().into(),
            ],
            mood: Mood::Calm,
        }
    };
    let partitions = change.now.of(list::CONSUMER_LAG.name).iter().map(|series| {
        let mut cells = vec![Cell::Nothing; KAFKA.len()];
        (cells[0], cells[1], cells[2]) = (series.label("topic").into(), series.label("partition").into(), "in".into());
        (cells[7], cells[9]) = (Cell::Number(series.value), process.name.as_str().into());
        Row { cells, mood: Mood::Calm }
    });
    let topics = change.values(list::CONSUMED_RECORDS.name, "topic").into_iter().map(consumed);
    sent.chain(topics).chain(partitions).collect()
}

/// What goes to a topic. A packed record is one, and so is a set of single lines.
fn sent(process: &Process, change: Change<'_>, topic: &str) -> Row {
    let labels = &[("topic", topic)];
    let retries = change.rate(list::PRODUCE_RETRIES.name, labels);
    let latency = |quantile| change.quantile(list::PRODUCE_SECONDS.name, labels, quantile);
    Row {
        cells: vec![
            topic.into(),
            "all".into(),
            "out".into(),
            change.rate(list::SENT_BATCHES.name, labels).into(),
            change.rate(list::SENT_BYTES.name, labels).into(),
            latency(0.5).into(),
            latency(0.99).into(),
            Cell::Nothing,
            retries.into(),
            process.name.as_str().into(),
        ],
        mood: if retries > Some(0.0) { Mood::Uneasy } else { Mood::Calm },
    }
}

const STORE: &[Column] = &[
    column("WHAT", "what", Text, 9),
    column("PER SECOND", "per_second", Count, 8),
    column("NOW", "now", Count, 6),
    column("TOTAL", "total", Count, 5),
    column("P50", "p50_seconds", Seconds, 4),
    column("P99", "p99_seconds", Seconds, 7),
    column("PROCESS", "process", Text, 1),
];

fn store(process: &Process) -> Vec<Row> {
    let Some(change) = process.change() else { return Vec::new() };
    let row = |what: &str, cells: [Option<f64>; 5], mood| {
        let numbers = cells.into_iter().map(Cell::from);
        let cells = [what.into()].into_iter().chain(numbers).chain([process.name.as_str().into()]).collect();
        Row { cells, mood }
    };
    let mut rows = Vec::new();
    for outcome in change.values(list::DOCUMENTS.name, "outcome") {
        let labels = &[("outcome", outcome.as_str())];
        let (rate, total) = (change.rate(list::DOCUMENTS.name, labels), change.sum(list::DOCUMENTS.name, labels));
        let is_odd = matches!(outcome.as_str(), "retried" | "dead_lettered") && rate > Some(0.0);
        let mood = if is_odd { Mood::Uneasy } else { Mood::Calm };
        rows.push(row(&format!("documents {outcome}"), [rate, None, total, None, None], mood));
    }
    for code in change.values(list::BULK_RESPONSES.name, "code") {
        let labels = &[("code", code.as_str())];
        let (rate, total) =
            (change.rate(list::BULK_RESPONSES.name, labels), change.sum(list::BULK_RESPONSES.name, labels));
        let mood = if code != "200" && rate > Some(0.0) { Mood::Uneasy } else { Mood::Calm };
        let what =
            if code == "0" { "requests without an answer".to_owned() } else { format!("requests answered {code}") };
        rows.push(row(&what, [rate, None, total, None, None], mood));
    }
    let name = list::BULK_SECONDS.name;
    let latency = [0.5, 0.99].map(|quantile| change.quantile(name, &[], quantile));
    let count = format!("{name}_count");
    if let Some(total) = change.sum(&count, &[]) {
        rows.push(row(
            "bulk requests",
            [change.rate(&count, &[]), None, Some(total), latency[0], latency[1]],
            Mood::Calm,
        ));
    }
    let gauges = [
        ("requests allowed at once", list::BULK_REQUESTS_LIMIT.name),
        ("seconds of backoff", list::BACKOFF_SECONDS.name),
        ("indices stopped", list::STOPPED_INDICES.name),
        ("documents held for them", list::STOPPED_DOCUMENTS.name),
    ];
    for (at, (what, name)) in gauges.into_iter().enumerate() {
        if let Some(value) = change.sum(name, &[]) {
            let mood = if at > 0 && value > 0.0 { Mood::Uneasy } else { Mood::Calm };
            rows.push(row(what, [None, Some(value), None, None, None], mood));
        }
    }
    rows
}

const PROCESSES: &[Column] = &[
    column("PROCESS", "process", Text, 9),
    column("ROLE", "role", Text, 6),
    column("STATE", "state", Text, 8),
    column("UP", "up_seconds", Seconds, 2),
    column("LINES/S", "lines_per_second", Count, 7),
    column("DOCS/S", "documents_per_second", Count, 5),
    column("BEHIND", "behind_bytes", Bytes, 7),
    column("LAG", "lag_records", Count, 6),
    column("CPU", "cpu_share", Share, 4),
    column("MEMORY", "memory_bytes", Bytes, 4),
    column("ERRORS/S", "errors_per_second", Count, 5),
    column("WHY", "why", Text, 3),
];

fn itself(process: &Process) -> Row {
    let change = process.change();
    let said = process.member.as_ref().map(|member| &member.registration);
    let rate = |name: &str, labels: &[(&str, &str)]| change.and_then(|change| change.rate(name, labels));
    let sum = |name: &str| change.and_then(|change| change.sum(name, &[]));
    let role = said.map(|said| said.role.to_string()).or_else(|| process.state().map(|state| state.role.clone()));
    let standing = process.member.as_ref().map(|member| member.standing);
    let is_away = process.url.is_some() && process.trouble.is_some();
    let state = match standing {
        Some(Standing::Silent) => "silent".to_owned(),
        _ if is_away => "away".to_owned(),
        Some(standing) => standing.to_string(),
        None if change.is_some() => "running".to_owned(),
        None => "asked".to_owned(),
    };
    let mood = match standing {
        Some(Standing::Silent | Standing::Refusing | Standing::Failing) => Mood::Bad,
        _ if is_away => Mood::Bad,
        Some(Standing::Behind | Standing::Updating) => Mood::Uneasy,
        _ => Mood::Calm,
    };
    // What isn't counted here was said in etcd, rounded.
    let behind = said.filter(|said| said.role == Role::Agent).map(|said| said.unread_bytes as f64);
    let lag = said.filter(|said| said.role == Role::Transfer).map(|said| said.lag_records as f64);
    let up =
        sum("process_start_time_seconds").map(|start| jiff::Timestamp::now().as_millisecond() as f64 / 1e3 - start);
    let failing = said.and_then(|said| said.failing.first().cloned());
    let why = process.trouble.clone().or(failing).unwrap_or_default();
    Row {
        cells: vec![
            process.name.as_str().into(),
            role.map_or(Cell::Nothing, Cell::Text),
            Cell::Text(state),
            up.filter(|_| !is_away).map(|up| up.max(0.0).round()).into(),
            rate(list::READ_LINES.name, &[]).into(),
            rate(list::DOCUMENTS.name, &[("outcome", "created")]).into(),
            sum(list::UNREAD_BYTES.name).or(behind).into(),
            sum(list::CONSUMER_LAG.name).or(lag).into(),
            rate("process_cpu_seconds_total", &[]).into(),
            sum("process_resident_memory_bytes").into(),
            rate(list::ERRORS.name, &[]).into(),
            Cell::Text(why.lines().next().unwrap_or_default().to_owned()),
        ],
        mood,
    }
}

fn mood(oldest: Option<f64>) -> Mood {
    match oldest.unwrap_or(0.0) {
        seconds if seconds >= OLD[1] => Mood::Bad,
        seconds if seconds >= OLD[0] => Mood::Uneasy,
        _ => Mood::Calm,
    }
}
