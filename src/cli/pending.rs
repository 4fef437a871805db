//! What has not landed yet, in the shape in which it will; goes away with the last of it.
#![allow(missing_docs, clippy::unused_async)]

pub(super) mod local {
    use crate::{config::Config, metrics::Health};
    use tokio_util::sync::CancellationToken;

    pub(crate) async fn run(_: &Config, _: Vec<String>, _: CancellationToken, _: &Health) -> anyhow::Result<()> {
        anyhow::bail!("up is not there yet")
    }
}
