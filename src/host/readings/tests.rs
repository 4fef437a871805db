//! A machine as it was recorded, and texts as no kernel ever wrote them.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use proptest::prelude::{Strategy, any, proptest};

use super::{Collector, Mutex, Reader, Readings, Settings, series, space::Space};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/host/readings/recorded");

/// Where `/proc` and `/sys` are as they were recorded.
fn recorded() -> Settings {
    Settings {
        enabled: true,
        // What is left out says who and when this is, and no recording can.
        collectors: Collector::ALL
            .into_iter()
            .filter(|one| !matches!(one, Collector::Uname | Collector::Time))
            .collect(),
        proc: Path::new(RECORDED).join("proc"),
        sys: Path::new(RECORDED).join("sys"),
        root: PathBuf::from("/rootfs"),
        ..Settings::default()
    }
}

/// The share answers with an error, the others with figures of their own.
fn reader(settings: &Settings) -> Reader {
    let ask = |path: &Path| match path.to_str() {
        Some("/rootfs/mnt/nas one") => Err(std::io::ErrorKind::HostUnreachable.into()),
        Some(path) => {
            let size_bytes = path.len() as f64 * 1e9;
            Ok(Space { size_bytes, free_bytes: 5e8, avail_bytes: 4e8, files: 3000.0, files_free: 2000.0 })
        }
        None => unreachable!("what is recorded is text"),
    };
    Reader::new(settings, Arc::new(ask)).expect("the patterns are right")
}

/// With `LOGDRIVE_HOST_PAGE=write` the page is written instead of compared, to be read in the diff.
#[test]
fn the_recorded_machine_has_the_page_that_is_kept_beside_it() {
    let text = reader(&recorded()).read();
    let lines = text.lines().filter(|line| !line.starts_with("node_scrape_collector_duration_seconds{"));
    let page: String = lines.map(|line| format!("{line}\n")).collect();
    let kept = Path::new(RECORDED).join("page.txt");
    if std::env::var_os("LOGDRIVE_HOST_PAGE").is_some_and(|what| what == "write") {
        fs::write(&kept, &page).expect("it can be written");
    }
    assert_eq!(page, fs::read_to_string(kept).expect("it is kept"));
}

#[test]
fn every_series_is_listed_once_and_nothing_else_is_put() {
    let listed: Vec<&str> = series().map(|series| series.name).collect();
    assert_eq!(listed.iter().collect::<HashSet<_>>().len(), listed.len(), "{listed:?}");
    let settings = Settings { collectors: Collector::ALL.to_vec(), ..recorded() };
    for (name, (kind, labels)) in families(&reader(&settings).read()) {
        let means = |pattern: &str| match pattern.split_once('*') {
            Some((begin, end)) => name.starts_with(begin) && name.ends_with(end),
            None => name == pattern,
        };
        let one = series().find(|series| means(series.name)).unwrap_or_else(|| panic!("{name} is not listed"));
        assert_eq!(kind, one.kind.name(), "{name}");
        assert_eq!(labels, one.labels, "{name}");
    }
}

#[test]
fn what_is_not_chosen_is_not_read_and_what_is_too_much_is_counted() {
    let settings = Settings {
        collectors: vec![Collector::Netdev, Collector::Filesystem],
        devices_max: 1,
        interfaces_exclude: String::new(),
        ..recorded()
    };
    let text = reader(&settings).read();
    let named = |begin: &str| text.lines().filter(|line| line.starts_with(begin)).count();
    assert_eq!(named("node_network_receive_bytes_total{"), 1, "{text}");
    assert_eq!(named("node_filesystem_readonly{"), 1, "{text}");
    for line in ["{collector=\"netdev\"} 3", "{collector=\"filesystem\"} 3"] {
        assert!(text.contains(&format!("logdrive_host_devices_left_out{line}\n")), "{line}: {text}");
    }
    assert!(!text.contains("node_load1"), "{text}");
}

#[test]
fn what_cant_be_read_is_told_and_the_rest_is_there() {
    let settings = Settings { proc: PathBuf::from("/no/such/place"), ..recorded() };
    let text = reader(&settings).read();
    assert!(text.contains("node_network_up{device=\"eth0\"} 1\n"), "{text}");
    for (collector, is_told) in [("netclass", 1), ("cpu", 0), ("meminfo", 0), ("pressure", 0), ("diskstats", 0)] {
        let line = format!("node_scrape_collector_success{{collector=\"{collector}\"}} {is_told}\n");
        assert!(text.contains(&line), "{line}: {text}");
    }
}

#[tokio::test]
async fn who_asks_within_a_second_gets_the_same_reading() {
    let count = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&count);
    let ask = move |_: &Path| {
        counts.fetch_add(1, Ordering::SeqCst);
        Err(std::io::ErrorKind::NotFound.into())
    };
    let settings = Settings { collectors: vec![Collector::Filesystem], ..recorded() };
    let readings = Readings(Arc::new(Mutex::new(Reader::new(&settings, Arc::new(ask)).expect("right patterns"))));
    let texts = futures::future::join_all((0..20).map(|_| readings.text())).await;
    assert!(texts.iter().all(|text| *text == texts[0] && text.contains("node_filesystem_device_error{")));
    assert_eq!(count.load(Ordering::SeqCst), 4, "each file system once");
    assert!(Readings::new(&Settings::default()).expect("nothing is wrong").is_none(), "off unless it is asked for");
}

/// Texts with what parsers stumble over: cut short, numbers too large, no UTF-8, lines twice.
fn broken(text: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<proptest::sample::Index>(), any::<proptest::sample::Index>(), 0..6_u8, any::<u8>());
    proptest::collection::vec(change, 0..4).prop_map(move |changes| {
        let mut text = text.clone();
        for (from, to, how, byte) in changes {
            if text.is_empty() {
                break;
            }
            let (from, to) = (from.index(text.len()), to.index(text.len()));
            let range = from.min(to)..from.max(to);
            match how {
                0 => text.truncate(from),
                1 => _ = text.drain(range),
                2 => text[from] = byte,
                3 => _ = text.splice(from..from, *b"18446744073709551616"),
                4 => _ = text.splice(from..from, [byte, b'\n']),
                _ => {
                    let again = text[range].to_vec();
                    text.splice(from..from, again);
                }
            }
        }
        text
    })
}

fn machine() -> impl Strategy<Value = BTreeMap<&'static str, Vec<u8>>> {
    let names = [
        "stat",
        "meminfo",
        "vmstat",
        "loadavg",
        "diskstats",
        "sys/fs/file-nr",
        "1/mounts",
        "1/net/dev",
        "pressure/cpu",
        "pressure/io",
        "pressure/memory",
        "pressure/irq",
    ];
    let each = names.map(|name| {
        let text = fs::read(Path::new(RECORDED).join("proc").join(name)).expect("it is recorded");
        broken(text).prop_map(move |text| (name, text))
    });
    Vec::from(each).prop_map(|files| files.into_iter().collect())
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, ..Default::default() })]

    #[test]
    fn whatever_the_kernel_writes_there_is_a_page_that_prometheus_takes(files in machine()) {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in &files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("it is below")).expect("made");
            fs::write(path, text).expect("written");
        }
        let settings = Settings { proc: dir.path().to_owned(), ..recorded() };
        let ask = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
        let mut reader = Reader::new(&settings, Arc::new(ask)).expect("the patterns are right");
        for _ in 0..2 {
            families(&reader.read());
        }
    }
}

/// The families of a page, with their types and labels. Fails if Prometheus would not take it.
fn families(text: &str) -> BTreeMap<String, (String, Vec<String>)> {
    let mut families = BTreeMap::new();
    let (mut open, mut seen) = (String::new(), HashSet::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            name.clone_into(&mut open);
            let before = families.insert(name.to_owned(), (kind.to_owned(), Vec::new()));
            assert!(before.is_none(), "{name} is opened twice");
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').expect("a series and a value");
            assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
            assert!(seen.insert(series.to_owned()), "{series} is there twice");
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            assert_eq!(name, open, "{line}");
            let names = labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned());
            families.get_mut(name).expect("it is open").1 = names.collect();
        }
    }
    families
}
