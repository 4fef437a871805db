//! What can be typed.

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum};
use jiff::{Timestamp, Zoned};

use super::{audit::Audit, dead_letters::DeadLetters, failure::Usage, setup::Setup};
use crate::store::{self, End};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "logdrive", version, about, max_term_width = 100, after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The configuration [default: ./logdrive.toml, else /etc/logdrive/logdrive.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE", env = "LOGDRIVE_CONFIG", hide_env_values = true)]
    pub(super) config: Option<PathBuf>,
    /// How log lines are written to stderr: text for people, json for machines
    #[arg(long, global = true, value_name = "FORMAT", env = "LOGDRIVE_LOG_FORMAT", default_value = "text")]
    #[arg(hide_env_values = true)]
    pub(super) log_format: LogFormat,
    /// How often one and the same event is logged in a minute; what is held back is counted. 0 for any number of times
    #[arg(long, global = true, value_name = "N", env = "LOGDRIVE_LOG_REPEATS_MAX", default_value_t = 10)]
    #[arg(hide_env_values = true)]
    pub(super) log_repeats_max: u32,
    /// Tell more of what is done; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  logdrive up /var/log/*.log         search these files on http://127.0.0.1:7717
  logdrive search timeout since:1h   the same in a terminal
  logdrive check                     is the configuration right, do the servers answer?

Every setting can come from the environment: LOGDRIVE_KAFKA__BOOTSTRAP_SERVERS=host:9092

Exit codes: 0 done, 1 failed, 2 usage, 78 configuration";

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Collect files and search them, all in one process, with nothing else installed
    #[command(arg_required_else_help = true)]
    Up(Up),
    /// Collect files into Kafka
    #[command(after_help = "\
Example:
  logdrive agent --config /etc/logdrive/logdrive.toml

What is collected stands in the configuration:
  [[agent.tasks]]
  name = \"nginx\"
  paths = [\"/var/log/nginx/*.log\"]
  topic = \"nginx\"")]
    Agent,
    /// Carry lines from Kafka into Elasticsearch or OpenSearch
    #[command(after_help = "\
Example:
  LOGDRIVE_TRANSFER__TOPICS=nginx,app logdrive transfer")]
    Transfer,
    /// Serve the search page over Elasticsearch or OpenSearch
    #[command(after_help = "\
Example:
  LOGDRIVE_WEB__LISTEN=0.0.0.0:7717 logdrive web")]
    Web,
    /// Search in the terminal
    #[command(arg_required_else_help = true)]
    Search(Search),
    /// Make what the servers need and don't have: topics
    Setup(Setup),
    /// Check the configuration, then every server it names
    Check(Check),
    /// Try the configuration on sample lines: what would be read and sent of them?
    Test(Test),
    /// See and change how far files were sent
    #[command(after_help = "\
Examples:
  logdrive checkpoints list
  logdrive checkpoints show /var/log/app.log
  logdrive checkpoints set /var/log/app.log --beginning
  logdrive checkpoints export > checkpoints.jsonl

They are those of `logdrive agent` with the same configuration. Looking at them works while it runs.")]
    Checkpoints(Checkpoints),
    /// Prove that what was sent is in the store, once, and list what is not
    Audit(Audit),
    /// See what could not be indexed, and send it again
    DeadLetters(DeadLetters),
    /// See which agents and transfers are there, what they run and how they fare
    Agents(Agents),
    /// Watch processes at work: rates, what is behind, latencies, errors
    Top(Top),
    /// See and change what hosts collect, in etcd
    #[command(after_help = "\
Examples:
  logdrive tasks list
  logdrive tasks put all tasks.json
  logdrive tasks put group/web tasks.json --canary 5%
  logdrive tasks edit host/web-1
  logdrive tasks rollback all

A key is written out (/logdrive/tasks/all), or all, group/NAME or host/NAME for those of agent.tasks_keys. Nothing is
written that an agent would refuse, and nothing over what somebody else wrote meanwhile.")]
    Tasks(Tasks),
}

/// `logdrive check`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  logdrive check --config logdrive.toml && systemctl restart logdrive-agent
  logdrive check --dry-run                        which files would be read?
  logdrive check --print-schema > schema.json     for an editor
  logdrive check --print-config                   what the files and the environment say together")]
pub(super) struct Check {
    /// List the files that each task would read now, and ask no server
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print the JSON Schema of the configuration, and do nothing else
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) print_schema: bool,
    /// Print what the files and the environment say together, without secrets, and do nothing else
    #[arg(long, conflicts_with_all = ["dry_run", "print_schema"])]
    pub(super) print_config: bool,
}

/// `logdrive test`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  logdrive test
  logdrive test --config /etc/logdrive/logdrive.toml --file nginx.tests.toml

A test is a sample and what is to become of it:
  [[tests]]
  name = \"a stack trace is one message\"
  task = \"app\"
  input_file = \"samples/trace.log\"
  expect.messages = [\"…\"]")]
pub(super) struct Test {
    /// The file with the tests [default: logdrive.tests.toml beside the configuration]
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Leave out the documents
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// `logdrive checkpoints`.
#[derive(Args, Debug)]
pub(super) struct Checkpoints {
    #[command(subcommand)]
    pub(super) action: CheckpointsAction,
}

/// What to do with checkpoints.
#[derive(Debug, Subcommand)]
pub(super) enum CheckpointsAction {
    /// List all: what became of the file, how far behind it is, where its lines go on
    #[command(after_help = "\
Examples:
  logdrive checkpoints list
  logdrive checkpoints list --json | jq 'select(.state == \"gone\") | .path'

States: ok (all is safe), behind (there is more in the file), rewritten (the file holds something else now),
gone (no file is there, or another one), packed (compressed since: what is left of it can't be told),
unreadable.")]
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show everything that is known of one file
    #[command(after_help = "\
Examples:
  logdrive checkpoints show /var/log/app.log
  logdrive checkpoints show 3f2a9c01 --json")]
    Show {
        /// A path, or the first digits of a file's identity as `list` shows it
        #[arg(value_name = "PATH|FILE")]
        which: String,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Let a file go on somewhere else; the agent must be stopped
    #[command(after_help = "\
Examples:
  logdrive checkpoints set /var/log/app.log --beginning      send all of it again
  logdrive checkpoints set /var/log/app.log --end            pass over what was not sent
  logdrive checkpoints set 3f2a9c01 --offset 1048576         go on with the line that is there

Lines that are sent again are known by their identity: in the store they stay there once.")]
    Set(SetCheckpoint),
    /// Print all as JSON, one object a line, for a copy or for `import`
    #[command(after_help = "\
Example:
  logdrive checkpoints export > checkpoints.jsonl")]
    Export,
    /// Take over what `export` printed; the agent must be stopped
    #[command(after_help = "\
Example:
  logdrive checkpoints import checkpoints.jsonl

Either every line is a checkpoint and all are taken over, or nothing is changed. Checkpoints that the file does
not name stay as they are.")]
    Import {
        /// The file, or - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// `logdrive checkpoints set`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("position").required(true).args(["offset", "beginning", "end"])))]
pub(super) struct SetCheckpoint {
    /// A path, or the first digits of a file's identity as `list` shows it
    #[arg(value_name = "PATH|FILE")]
    pub(super) which: String,
    /// Go on with the line that this byte is in
    #[arg(long, value_name = "BYTES")]
    pub(super) offset: Option<u64>,
    /// Send the whole file again
    #[arg(long)]
    pub(super) beginning: bool,
    /// Pass over everything that is in the file now
    #[arg(long)]
    pub(super) end: bool,
    /// Go on at exactly this byte, though it is inside a line
    #[arg(long)]
    pub(super) exact: bool,
}

/// `logdrive agents`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  logdrive agents
  logdrive agents web-1 --json | jq .tasks
  logdrive agents --forget web-9

States, the worst first: silent (was there, and is not), refusing (a task or a key's value), failing (Kafka or the
store can't be reached), behind (256 MiB, or a million records, or more), updating, running. They register in the etcd of the configuration.")]
pub(super) struct Agents {
    /// Only these: hosts, or the first digits of an id
    #[arg(value_name = "HOST|ID")]
    pub(super) hosts: Vec<String>,
    /// One JSON object a line, with everything that each says
    #[arg(long)]
    pub(super) json: bool,
    /// Forget one that is silent and will not come back
    #[arg(long, value_name = "HOST|ID", conflicts_with_all = ["hosts", "json"])]
    pub(super) forget: Option<String>,
}

/// `logdrive top`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  logdrive top
  logdrive top --url web-1:9717 --view files
  logdrive top --all
  logdrive top --json --count 1 | jq '.tasks[] | select(.behind_bytes > 1e9) | .task'

On a terminal: tab or 1 to 5 for the views, s and r to sort, / to filter, p to pause, ? for all keys, q to quit. It asks
the port of metrics.listen; --all asks those who are registered in the etcd of the configuration.")]
pub(super) struct Top {
    /// The process, by where it serves its metrics [default: metrics.listen of the configuration]
    #[arg(long, value_name = "URL", conflicts_with = "all")]
    pub(super) url: Option<String>,
    /// All agents and transfers that are registered in etcd
    #[arg(long)]
    pub(super) all: bool,
    /// What to show first [default: tasks; with --all, processes]
    #[arg(long, value_name = "VIEW")]
    pub(super) view: Option<TopView>,
    /// How long to wait between two looks
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub(super) interval: jiff::SignedDuration,
    /// End after so many looks
    #[arg(long, value_name = "N")]
    pub(super) count: Option<u64>,
    /// Tables as plain text, one after the other, though this is a terminal
    #[arg(long, conflicts_with = "json")]
    pub(super) plain: bool,
    /// One JSON object a look, with all views
    #[arg(long)]
    pub(super) json: bool,
}

/// The views of `logdrive top`, in the order of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TopView {
    /// Tasks.
    Tasks,
    /// Files.
    Files,
    /// Topics and partitions.
    Kafka,
    /// Documents and bulk requests.
    Store,
    /// The processes.
    Processes,
}

/// `logdrive tasks`.
#[derive(Args, Debug)]
pub(super) struct Tasks {
    #[command(subcommand)]
    pub(super) action: TasksAction,
}

/// What to do with tasks.
#[derive(Debug, Subcommand)]
pub(super) enum TasksAction {
    /// List the keys that hold tasks
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Print what a key holds
    Get {
        /// The key
        key: String,
    },
    /// Write what a key holds
    Put(PutTasks),
    /// Take a key away; its tasks end
    Remove {
        /// The key
        key: String,
    },
    /// Change what a key holds in $EDITOR
    Edit {
        /// The key
        key: String,
    },
    /// List the values that a key had, the last 50
    History {
        /// The key
        key: String,
    },
    /// Write a value that a key had before
    Rollback {
        /// The key
        key: String,
        /// How many changes ago, as `history` numbers them
        #[arg(default_value_t = 1)]
        number: usize,
    },
    /// Take a canary back that nobody waits for any more
    Withdraw {
        /// The key
        key: String,
    },
    /// Print what changes, until stopped
    Watch {
        /// Keys; without any, all that hold tasks now
        keys: Vec<String>,
    },
}

/// `logdrive tasks put`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  logdrive tasks put all tasks.json
  echo '[{\"path\": \"/var/log/nginx/access.log\", \"topic\": \"nginx\"}]' | logdrive tasks put host/web-1
  logdrive tasks put all tasks.json --canary 5% --wait 2m")]
pub(super) struct PutTasks {
    /// The key
    pub(super) key: String,
    /// A file with the tasks as JSON, or - for standard input
    #[arg(default_value = "-")]
    pub(super) file: PathBuf,
    /// Only show what would change
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Only if the key is at this revision; 0 for one that must not be there
    #[arg(long, value_name = "REVISION")]
    pub(super) expect: Option<i64>,
    /// Let these hosts take it first, and the others when those report well: N% of them, or names with commas
    #[arg(long, value_name = "N%|HOST,…", conflicts_with = "dry_run")]
    pub(super) canary: Option<String>,
    /// How long the hosts of a canary have to fare well
    #[arg(long, value_name = "TIME", default_value = "30s", requires = "canary")]
    pub(super) wait: jiff::SignedDuration,
}

/// `logdrive up`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  logdrive up /var/log/syslog
  logdrive up '/var/log/**/*.log' app.log

Then open http://127.0.0.1:7717. Files are followed; one that is not there yet is waited for.")]
pub(super) struct Up {
    /// Files, or globs in quotes: `*` and `?` stay in a directory, `**` does not; without any, the configuration's tasks
    #[arg(value_name = "FILE|GLOB")]
    pub(super) patterns: Vec<String>,
}

/// `logdrive search`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  logdrive search timeout since:1h
  logdrive search 'level>=warn -healthcheck \"connection refused\"'
  logdrive search path:/var/log/nginx/* status:500 --json | jq .message

Words, \"phrases\", field:value, -not, OR, level>=warn, since:1h. Quote what your shell would change.
It asks a running `logdrive up`, or else the Elasticsearch of the configuration.")]
pub(super) struct Search {
    /// What to look for
    #[arg(required = true, value_name = "QUERY")]
    pub(super) query: Vec<String>,
    /// The oldest that is wanted, where the query doesn't say: 15m, 2d, today, 2026-11-20
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// The newest that is wanted, where the query doesn't say
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<String>,
    /// How many hits to show, the newest
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(super) limit: usize,
    /// Only say how many documents match
    #[arg(long, conflicts_with = "json")]
    pub(super) count: bool,
    /// Print whole documents, one JSON object a line
    #[arg(long)]
    pub(super) json: bool,
    /// Times in UTC instead of this machine's zone
    #[arg(long)]
    pub(super) utc: bool,
    /// The page to ask, as a running `logdrive up` or `logdrive web` serves it
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
}

impl Arguments {
    /// Reads what was typed.
    ///
    /// In a question `-word` means without the word. To the reader of options it would be a row of them, so it is
    /// handed over as `!word`, which means the same.
    pub(super) fn read(typed: impl Iterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut asks = false;
        Self::try_parse_from(typed.map(|word| {
            let text = word.to_str().unwrap_or_default();
            let excludes = asks && text.len() > 2 && !text.starts_with("--") && text.trim_start_matches('-') != text;
            let option = text.trim_start_matches('-').chars().all(|c| c == 'v');
            asks |= text == "search";
            if excludes && !option { format!("!{}", &text[1..]).into() } else { word }
        }))
    }
}

/// The time that the option `--name` has the text `text` for.
pub(super) fn time(name: &str, text: &str, end: End) -> Result<Timestamp, Usage> {
    let hint = "write 15m, 2d, today, 14:30, 2026-11-20 or 2026-11-20T14:30";
    let time = store::parse_time(text, end, &Zoned::now());
    time.ok_or_else(|| Usage(format!("--{name} {text} is not a time\nhint: {hint}")))
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Arguments, Command};

    #[test]
    fn the_command_line_is_consistent_and_each_command_shows_an_example() {
        let command = Arguments::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example") && help.contains("logdrive"), "{} shows no example", sub.get_name());
        }
    }

    #[test]
    fn a_query_may_exclude_words_and_options_may_follow_it() {
        let typed = ["logdrive", "search", "timeout", "-healthcheck", "level>=warn", "--limit", "5", "-vv"];
        let read = Arguments::read(typed.iter().map(Into::into)).expect("it can be typed like this");
        let Command::Search(search) = read.command else { panic!("it is a search") };
        assert_eq!((search.query.join(" ").as_str(), search.limit), ("timeout !healthcheck level>=warn", 5));
        assert_eq!(read.verbose, 2);
    }
}
