//! Index templates and lifecycles, for the indices or data streams that the configuration names.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::{
    cli::report::report,
    config::{Config, Target},
    document::IndexName,
    elastic::{
        Client, ElasticError,
        setup::{self, Outcome, Wanted},
    },
};

/// `logdrive setup elasticsearch`.
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Examples:
  logdrive setup elasticsearch --dry-run
  logdrive setup elasticsearch
  logdrive setup elasticsearch --kibana logdrive.ndjson

What is installed is said by transfer.index or transfer.data_stream, and by [elasticsearch.setup]: retention, rollover
and copies. A dry run prints the requests, one JSON object a line. Indices that are there already keep their mappings.
Of OpenSearch, the lifecycle policy is one of its index state management.")]
pub(super) struct Options {
    /// Replace what someone else made, or a newer logdrive, and send everything again
    #[arg(long)]
    force: bool,
    /// Only write a data view, a search, charts and a dashboard into a file that Kibana and OpenSearch Dashboards
    /// can import; `-` is the standard output
    #[arg(long, value_name = "FILE", conflicts_with = "force")]
    kibana: Option<PathBuf>,
}

/// Installs what is not there. Gives whether all is there that is wanted.
pub(super) async fn run(config: &Config, options: &Options, dry: bool) -> anyhow::Result<bool> {
    let (template, is_data_stream) = match config.transfer.target() {
        Target::Index(template) => (template, false),
        Target::DataStream(template) => (template, true),
    };
    let pattern = IndexName::parse(&template)?.pattern();
    if let Some(file) = &options.kibana {
        return write(file, &setup::kibana::saved_objects(&pattern), dry);
    }
    let wanted = Wanted { pattern: &pattern, is_data_stream, settings: &config.elasticsearch.setup };
    let told = install(config, &wanted, options.force, dry).await;
    Ok(told.unwrap_or_else(|error| report("elasticsearch", Err::<String, _>(error))))
}

async fn install(config: &Config, wanted: &Wanted<'_>, force: bool, dry: bool) -> Result<bool, ElasticError> {
    let client = Client::new(&config.elasticsearch)?;
    let pieces = setup::plan(&client.server().await?, wanted);
    if dry {
        for piece in &pieces {
            println!("{}", json!({ "method": "PUT", "path": piece.path, "body": piece.body }));
        }
        return Ok(true);
    }
    for (piece, outcome) in pieces.iter().zip(setup::apply(&client, &pieces, force).await?) {
        let outcome = match outcome {
            Outcome::Created => "made",
            Outcome::Replaced => "replaced",
            Outcome::Present => "is there",
        };
        report(&piece.name, Ok::<_, ElasticError>(format!("{} {outcome}", piece.kind)));
    }
    Ok(true)
}

fn write(file: &Path, objects: &str, dry: bool) -> anyhow::Result<bool> {
    if dry || file == Path::new("-") {
        print!("{objects}");
        return Ok(true);
    }
    std::fs::write(file, objects).with_context(|| format!("{} can't be written", file.display()))?;
    let told = format!("{} objects; import the file under Stack Management, Saved Objects", objects.lines().count());
    Ok(report(&file.display().to_string(), Ok::<_, ElasticError>(told)))
}
