//! Who is there: each process under a lease in etcd, with what it runs and how it fares.
//!
//! It promises that a process which is gone counts as silent within `etcd.lease`, and that one which was there once is
//! not forgotten before somebody says so. At rest a process writes nothing but its lease's renewals. It must not know what
//! tasks are, or who has them.

mod list;
mod registration;

pub use list::{Member, Standing, forget, members};
pub use registration::{Key, Registration, Role, Task, TaskState};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::etcd::{Etcd, Place, hold};

/// Keeps the registration in etcd, as it changes, until `stop` is cancelled; then it is taken away.
pub async fn register(etcd: Etcd, mut registrations: watch::Receiver<Registration>, stop: CancellationToken) {
    let first = registrations.borrow_and_update().clone();
    let prefix = etcd.settings().prefix.clone();
    let place = Place {
        key: format!("{prefix}/{}/{}/{}", list::PRESENT, first.role, first.id),
        memory: format!("{prefix}/{}/{}/{}", list::KNOWN, first.role, first.id),
    };
    let (written, values) = watch::channel(first.to_json());
    let rewrite = async {
        while registrations.changed().await.is_ok() {
            let json = registrations.borrow_and_update().to_json();
            written.send_if_modified(|value| {
                let changes = *value != json;
                *value = json;
                changes
            });
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = hold(etcd, place, values, stop) => (),
        () = rewrite => (),
    }
}
