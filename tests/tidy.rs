//! The house's rules that no compiler checks: which room may import which, which crate has which single door, how a
//! file opens, that nothing counted is unlisted and nothing listed uncounted, and what a public repository never says.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The floors, lowest first. A room imports only from floors below its own.
const FLOORS: &[&[&str]] = &[
    &["record", "metrics", "inspect"],
    &["splitter", "store", "letter", "etcd"],
    &["reader", "batcher", "kafka", "checkpoint", "document", "elastic", "embedded", "host", "registry"],
    &["config"],
    &["agent", "transfer", "local", "search", "audit", "trial", "top"],
    &["cli"],
];

/// An outside crate and the rooms that may name it: one for each that talks to the world.
const DOORS: &[(&str, &[&str])] = &[
    ("axum", &["search", "cli"]),
    ("clap", &["cli"]),
    ("elasticsearch", &["elastic"]),
    ("encoding_rs", &["record"]),
    ("etcd_client", &["etcd"]),
    ("flate2", &["reader"]),
    ("globset", &["reader"]),
    ("inotify", &["reader"]),
    ("libc", &["host"]),
    ("lz4_flex", &["batcher"]),
    ("memchr", &["splitter", "document"]),
    ("metrics_exporter_prometheus", &["metrics"]),
    ("pprof", &["host"]),
    ("procfs_core", &["host"]),
    ("ratatui", &["top"]),
    ("rdkafka", &["kafka"]),
    ("regex", &["reader", "host"]),
    ("rust_embed", &["search"]),
    ("simd_json", &["document"]),
    ("sled", &["checkpoint"]),
    ("tantivy", &["embedded"]),
    ("tokio_uring", &["reader"]),
    ("toml", &["config"]),
    ("tracing_subscriber", &["cli"]),
    ("walkdir", &["reader"]),
    ("zstd", &["reader"]),
];

/// Rooms that would say nothing of what is in them.
const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "manager", "misc", "prelude", "types", "util", "utils"];

#[test]
fn rooms_import_only_from_lower_floors() {
    let mut faults = Vec::new();
    for file in sources() {
        let Some(room) = file.room() else { continue };
        let Some(floor) = floor_of(&room) else {
            faults.push(format!("{}: {room} has no floor; add it to FLOORS", file.path.display()));
            continue;
        };
        let code = file.shipped_code();
        for other in FLOORS.iter().flat_map(|floor| floor.iter()).filter(|other| **other != room) {
            if imports(&code, other) && floor_of(other).is_some_and(|below| floor <= below) {
                faults.push(format!("{}: {room} may not import {other}", file.path.display()));
            }
        }
        // A child's `super::super` and a room's own `super` are ways out of the room that the check above can't see.
        let depth = file.path.components().count() - 2;
        let is_mod = file.path.ends_with("mod.rs");
        let way_out = format!("{}::", vec!["super"; depth + usize::from(!is_mod)].join("::"));
        if code.contains(&way_out) {
            faults.push(format!("{}: leave the room by crate::, not by {way_out}", file.path.display()));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_floor_lists_rooms_that_exist() {
    let rooms: BTreeSet<String> = sources().iter().filter_map(Source::room).collect();
    let floors: BTreeSet<String> =
        FLOORS.iter().flat_map(|floor| floor.iter()).map(|room| (*room).to_owned()).collect();
    assert_eq!(rooms, floors);
}

#[test]
fn outside_crates_have_one_door() {
    let mut faults = Vec::new();
    for file in sources() {
        let Some(room) = file.room() else { continue };
        let code = file.shipped_code();
        for (krate, doors) in DOORS {
            if !doors.contains(&room.as_str()) && names_crate(&code, krate) {
                faults.push(format!("{}: only {} may name {krate}", file.path.display(), doors.join(" and ")));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut faults = Vec::new();
    for file in sources() {
        if !file.text.starts_with("//! ") {
            faults.push(format!("{}: open it with a //! line that says what it is for", file.path.display()));
        }
        let name = file.path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if EMPTY_NAMES.contains(&name) || file.room().is_some_and(|room| EMPTY_NAMES.contains(&room.as_str())) {
            faults.push(format!("{}: {name} says nothing of what is in it", file.path.display()));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_metric_that_is_listed_is_counted() {
    let list = fs::read_to_string("src/metrics/list.rs").expect("it is there");
    let names: Vec<&str> = list
        .lines()
        .filter_map(|line| line.trim().split_once(" = Metric::").map(|(name, _)| name))
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
        .collect();
    assert!(names.len() > 20, "the list reads differently now: {names:?}");
    let code: Vec<String> =
        sources().iter().filter(|file| !file.path.ends_with("metrics/list.rs")).map(Source::shipped_code).collect();
    let unused: Vec<&&str> = names.iter().filter(|name| !code.iter().any(|code| contains_word(code, name))).collect();
    assert!(unused.is_empty(), "listed in src/metrics/list.rs and counted nowhere: {unused:?}");
}

/// What dashboards, alerts and documents name has to exist.
#[test]
fn every_metric_that_is_written_about_exists() {
    let list = fs::read_to_string("src/metrics/list.rs").expect("it is there");
    let mut faults = Vec::new();
    for (path, text) in repository() {
        // A program's name and the parts that Prometheus adds to a histogram look like metrics, too.
        for word in words(&text).filter(|word| word.starts_with("logdrive_") && word.len() > 12) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
            // What is recorded of a counter is named after it.
            let is_rate = list.contains(&format!("\"{word}_total\"")) && text.contains(&format!(":{word}:rate"));
            let unit = ["_total", "_bytes", "_seconds", "_info"].iter().any(|end| base.ends_with(end));
            if unit && !is_rate && !list.contains(&format!("\"{base}\"")) && !list.contains(&format!("\"{word}\"")) {
                faults.push(format!("{}: there is no metric {word}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn what_the_guides_point_at_is_there() {
    let mut faults = Vec::new();
    for guide in ["README.md", "ARCHITECTURE.md"] {
        let text = fs::read_to_string(guide).expect("it is there");
        // Links to files, and sources named by their path in src/.
        let links =
            text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|link| !link.contains("//"));
        let sources = text.split('`').skip(1).step_by(2).filter(|code| code.contains('/') && code.ends_with(".rs"));
        let paths =
            links.map(PathBuf::from).chain(sources.map(|path| {
                if path.starts_with("tests/") { PathBuf::from(path) } else { Path::new("src").join(path) }
            }));
        faults
            .extend(paths.filter(|path| !path.exists()).map(|path| format!("{guide}: there is no {}", path.display())));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The repository speaks of the project alone: nothing in it may depend on where it was written.
#[test]
fn no_file_names_a_place_that_only_one_machine_has() {
    // In halves, so that this file doesn't name them either.
    let banned: Vec<String> = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["/ho", "me/"],
        ["/tmp/", "wt/"],
        ["/sha", "red/"],
        ["TODO", ":"],
        ["FIX", "ME"],
    ]
    .iter()
    .map(|halves| halves.concat())
    .collect();
    let mut faults = Vec::new();
    for (path, text) in repository() {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = banned.iter().find(|word| line.contains(word.as_str())) {
                faults.push(format!("{}:{}: {word:?} has no place here", path.display(), number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// A file of the program.
struct Source {
    path: PathBuf,
    text: String,
    /// The whole file is a module of tests.
    is_test: bool,
}

impl Source {
    /// `src/reader/tail.rs` is in the room `reader`; `lib.rs` and `main.rs` are in none.
    fn room(&self) -> Option<String> {
        let name = self.path.iter().nth(1)?.to_str()?.trim_end_matches(".rs").to_owned();
        (name != "lib" && name != "main").then_some(name)
    }

    /// The text without comments and without tests: those at its end, or all of it in a file of tests.
    fn shipped_code(&self) -> String {
        if self.is_test {
            return String::new();
        }
        let tests = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        let lines = self.text[..tests].lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<&str>>().join("\n")
    }
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    visit(Path::new("src"), &mut |path| {
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).expect("a source is UTF-8");
            files.push(Source { path: path.to_owned(), text, is_test: false });
        }
    });
    let tests: Vec<PathBuf> = files.iter().flat_map(test_modules).collect();
    for file in &mut files {
        file.is_test = tests.iter().any(|test| file.path.starts_with(test) || file.path == test.with_extension("rs"));
    }
    files
}

/// The modules of tests that a file declares (`#[cfg(test)] mod name;`), as paths without their extension.
fn test_modules(file: &Source) -> Vec<PathBuf> {
    let dir = if file.path.ends_with("mod.rs") { file.path.with_file_name("") } else { file.path.with_extension("") };
    let declared = file.text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| {
        if let Some(path) = rest.strip_prefix("#[path = \"").and_then(|rest| rest.split('"').next()) {
            return Some(file.path.with_file_name(path).with_extension(""));
        }
        let name = rest.strip_prefix("mod ")?.lines().next()?.strip_suffix(';')?;
        Some(dir.join(name))
    });
    declared.collect()
}

/// Every file of text in the repository, but what is made by tools or belongs to the machine.
fn repository() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    visit(Path::new("."), &mut |path| {
        let generated = path.ends_with("Cargo.lock") || path.ends_with("LICENSE");
        if let (false, Ok(text)) = (generated, fs::read_to_string(path)) {
            files.push((path.to_owned(), text));
        }
    });
    assert!(files.len() > 50, "only {} files were found", files.len());
    files
}

fn visit(dir: &Path, see: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).expect("a directory of the repository") {
        let path = entry.expect("it can be listed").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let skipped = name.starts_with('.') || matches!(name, "target" | "corpus" | "artifacts" | "__pycache__");
        match path.is_dir() {
            _ if skipped => (),
            true => visit(&path, see),
            false => see(&path),
        }
    }
}

/// Whether `crate::other` is named, alone or first in a `crate::{…}` group.
fn imports(text: &str, other: &str) -> bool {
    let named = |piece: &str| piece.strip_prefix(other).is_some_and(|rest| !rest.starts_with(is_word));
    text.split("crate::").skip(1).any(|after| match after.strip_prefix('{') {
        None => named(after),
        Some(group) => top_level_names(group).iter().any(|piece| named(piece)),
    })
}

fn top_level_names(group: &str) -> Vec<&str> {
    let (mut depth, mut from, mut names) = (0, 0, Vec::new());
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => {
                names.push(group[from..at].trim());
                break;
            }
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                names.push(group[from..at].trim());
                from = at + 1;
            }
            _ => (),
        }
    }
    names
}

/// Whether the code names an outside crate: at the beginning of a path, not as a module of another one.
fn names_crate(code: &str, krate: &str) -> bool {
    code.match_indices(&format!("{krate}::")).any(|(at, _)| {
        let before = &code[..at];
        !before.ends_with(is_word)
            && (!before.ends_with("::") || before.trim_end_matches("::").ends_with([' ', '(', '\n', '<']))
    })
}

fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(is_word) && !text[at + word.len()..].starts_with(is_word))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
