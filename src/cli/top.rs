//! `logdrive top`: one process, or all that are registered, as they work.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use super::{arguments::Top, failure::Usage, service};
use crate::{
    config::Config,
    etcd::Etcd,
    host,
    top::{self, Form, Settings, View, Who},
};

/// Asking more often would make the process that is watched work for it. It tells of lines each half second: shorter
/// intervals would see none of them, or twice as many.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

pub(super) fn run(config: &Config, asked: &Top) -> anyhow::Result<()> {
    let interval = Duration::try_from(asked.interval).ok().filter(|interval| *interval >= INTERVAL_MIN);
    let interval = interval.ok_or_else(|| {
        Usage(format!("--interval {:#} is too short\nhint: write 1s or more, such as 2s", asked.interval))
    })?;
    let who = if asked.all {
        let here = config.agent.host.clone().unwrap_or_else(host::name);
        Who::All { etcd: Etcd::new(&config.etcd)?, here }
    } else {
        let url = asked.url.clone().unwrap_or_else(|| reached(&config.metrics.listen));
        Who::One(top::checked(&url).map_err(Usage)?)
    };
    let is_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    let form = match () {
        () if asked.json => Form::Json,
        () if asked.plain || !is_terminal => Form::Tables,
        () => Form::Screen { has_colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) },
    };
    let first = if asked.all { View::Processes } else { View::Tasks };
    let view = asked.view.map_or(first, |name| View::ALL[name as usize]);
    service::threads(config)?.block_on(top::run(Settings { who, view, interval, count: asked.count }, form))
}

/// Where something that listens so is reached from this host.
fn reached(listen: &str) -> String {
    match listen.rsplit_once(':') {
        Some(("0.0.0.0" | "", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => listen.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::{View, reached};
    use crate::cli::arguments::TopView;

    #[test]
    fn the_process_of_the_configuration_is_asked_on_this_host() {
        assert_eq!(reached("0.0.0.0:9717"), "127.0.0.1:9717");
        assert_eq!(reached("[::]:9717"), "[::1]:9717");
        assert_eq!(reached("10.0.0.7:1"), "10.0.0.7:1");
    }

    #[test]
    fn each_view_that_can_be_typed_is_the_one_of_that_name() {
        for (typed, view) in TopView::value_variants().iter().zip(View::ALL) {
            let name = typed.to_possible_value().map(|value| value.get_name().to_owned());
            assert_eq!(name.as_deref(), Some(view.name()));
        }
    }
}
