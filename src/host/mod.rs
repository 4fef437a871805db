//! What machine this is: a name for people, an identity that no other machine has, and how it fares.
//!
//! It promises that the identity stays the same as long as the data directory does, and that [`Readings`] answer whatever
//! hangs. It must not know what any of it is used for.

pub mod heap;
pub mod profile;
mod readings;
mod settings;

use std::{
    fs, io,
    io::Write,
    net::{ToSocketAddrs, UdpSocket},
    path::Path,
};

use anyhow::{Context, ensure};

pub use readings::{Kind, Readings, Series, series};
pub use settings::{Collector, Settings};

/// Where systemd and D-Bus keep the machine's identity.
const MACHINE_ID: &str = "/etc/machine-id";

/// Where the kernel gives a random one, in the text form of a UUID.
const RANDOM_UUID: &str = "/proc/sys/kernel/random/uuid";

/// The machine's name, as `uname -n` says it.
#[must_use]
pub fn name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// The address by which this machine would speak to `server`, a host and a port, with or without `http://` before it: the
/// one under which the server knows it, if nothing in between changes it. Nothing is sent. It may wait for a name server.
///
/// # Errors
/// If the server's name is not known, or there is no way to it.
pub fn address_towards(server: &str) -> io::Result<std::net::IpAddr> {
    let server = server.split_once("://").map_or(server, |(_, server)| server).trim_end_matches('/');
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in server.to_socket_addrs()? {
        let any: std::net::SocketAddr =
            if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        match UdpSocket::bind(any).and_then(|socket| socket.connect(address).and_then(|()| socket.local_addr())) {
            Ok(local) => return Ok(local.ip()),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// The machine's identity, 32 hexadecimal digits: that of the machine, or a random one that is kept in `data_dir`,
/// which is made if it doesn't exist. What `data_dir` holds wins, so that the identity never changes later.
///
/// # Errors
/// If there is none yet and none can be kept.
pub fn machine_id(data_dir: &Path) -> anyhow::Result<String> {
    machine_id_of(Path::new(MACHINE_ID), data_dir)
}

fn machine_id_of(of_machine: &Path, data_dir: &Path) -> anyhow::Result<String> {
    let kept = data_dir.join("machine-id");
    match fs::read_to_string(&kept) {
        Ok(text) => {
            let hint = "restore it, or delete it to get a new identity: files are then read again from their beginning";
            return read(&text).with_context(|| format!("{} holds no machine id; {hint}", kept.display()));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (),
        Err(error) => return Err(error).with_context(|| format!("can't read {}", kept.display())),
    }
    if let Some(id) = fs::read_to_string(of_machine).ok().and_then(|text| read(&text).ok()) {
        return Ok(id);
    }
    let random = fs::read_to_string(RANDOM_UUID).with_context(|| format!("can't read {RANDOM_UUID}"))?;
    let id = read(&random.replace('-', ""))?;
    keep(&kept, &id).with_context(|| format!("can't keep a machine id in {}", data_dir.display()))?;
    Ok(id)
}

/// 32 hexadecimal digits; `uninitialized`, which systemd writes into images, is none.
fn read(text: &str) -> anyhow::Result<String> {
    let id = text.trim().to_lowercase();
    ensure!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "not 32 hexadecimal digits");
    Ok(id)
}

/// Writes it whole or not at all: under another name first, synced, then renamed.
fn keep(path: &Path, id: &str) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new)?;
    writeln!(file, "{id}")?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{address_towards, machine_id_of};

    #[test]
    fn the_address_is_the_one_that_the_server_would_see() {
        for server in ["127.0.0.1:2379", "https://127.0.0.1:2379/"] {
            assert_eq!(address_towards(server).expect("a way").to_string(), "127.0.0.1");
        }
        assert!(address_towards("127.0.0.1").is_err(), "no port");
    }

    #[test]
    fn the_machine_tells_who_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let of_machine = dir.path().join("etc");
        fs::write(&of_machine, "0123456789ABCDEF0123456789abcdef\n").expect("written");
        let id = machine_id_of(&of_machine, &dir.path().join("data")).expect("an id");
        assert_eq!(id, "0123456789abcdef0123456789abcdef");
        assert!(!dir.path().join("data").exists(), "nothing has to be kept");
    }

    #[test]
    fn a_machine_without_an_identity_gets_one_that_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let (of_machine, data) = (dir.path().join("etc"), dir.path().join("deep/data"));
        fs::write(&of_machine, "uninitialized\n").expect("written");
        let first = machine_id_of(&of_machine, &data).expect("an id");
        assert_eq!(machine_id_of(&of_machine, &data).expect("an id"), first);
        fs::write(&of_machine, "0123456789abcdef0123456789abcdef\n").expect("written");
        assert_eq!(machine_id_of(&of_machine, &data).expect("an id"), first, "also when the machine gets one later");
        let other = machine_id_of(&dir.path().join("none"), &dir.path().join("other")).expect("an id");
        assert_ne!(other, first);
    }

    #[test]
    fn a_kept_identity_that_is_damaged_is_not_replaced_silently() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("machine-id"), "\0\0\0").expect("written");
        let error = machine_id_of(&dir.path().join("none"), dir.path()).expect_err("damaged");
        assert!(error.to_string().contains("machine-id holds no machine id"), "{error:#}");
    }
}
