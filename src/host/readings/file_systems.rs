//! `filesystem`: what is mounted, and how much space it has.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{
    Chosen,
    files::Files,
    page::{Page, Series},
    space::{Asker, Space},
};

const LABELS: &[&str] = &["device", "mountpoint", "fstype"];

type Column = fn(&Space) -> f64;

#[rustfmt::skip]
static COLUMNS: [(Series, Column); 5] = [
    (Series::gauge("node_filesystem_size_bytes", LABELS, "Filesystem size in bytes."), |space| space.size_bytes),
    (Series::gauge("node_filesystem_free_bytes", LABELS, "Filesystem free space in bytes."), |space| space.free_bytes),
    (Series::gauge("node_filesystem_avail_bytes", LABELS, "Filesystem space available to non-root users in bytes."), |space| space.avail_bytes),
    (Series::gauge("node_filesystem_files", LABELS, "Filesystem total file nodes."), |space| space.files),
    (Series::gauge("node_filesystem_files_free", LABELS, "Filesystem total free file nodes."), |space| space.files_free),
];

static READ_ONLY: Series = Series::gauge("node_filesystem_readonly", LABELS, "Filesystem read-only status.");
static ERROR: Series = Series::gauge(
    "node_filesystem_device_error",
    LABELS,
    "Whether an error occurred while getting statistics for the given device.",
);

/// What is here.
pub(super) fn all() -> impl Iterator<Item = &'static Series> {
    COLUMNS.iter().map(|(series, _)| series).chain([&READ_ONLY, &ERROR])
}

/// A line of `/proc/mounts`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mount {
    /// Those that are devices of this machine come first when they are sorted: they are the likeliest to answer.
    is_elsewhere: bool,
    device: String,
    mount_point: String,
    fs_type: String,
    is_read_only: bool,
    /// Where it is for us.
    path: PathBuf,
}

/// Puts the file systems that are wanted; says how many were too many.
pub(super) fn put(files: &Files, chosen: &Chosen, asker: &Asker, page: &mut Page) -> anyhow::Result<usize> {
    let text = files.of_machine("mounts")?;
    let mut seen = BTreeSet::new();
    let mounts = text.split(|byte| *byte == b'\n').filter_map(|line| mount(line, files));
    let mut mounts: Vec<Mount> = mounts
        .filter(|mount| !chosen.mount_points.excludes(&mount.mount_point) && !chosen.fs_types.excludes(&mount.fs_type))
        // What is mounted over itself stands there twice.
        .filter(|mount| seen.insert((mount.device.clone(), mount.mount_point.clone(), mount.fs_type.clone())))
        .collect();
    mounts.sort_unstable();
    let left_out = mounts.len().saturating_sub(chosen.devices_max);
    mounts.truncate(chosen.devices_max);
    let paths: Vec<PathBuf> = mounts.iter().map(|mount| mount.path.clone()).collect();
    let spaces = asker.all(&paths);
    let labels = |mount: &Mount| [mount.device.clone(), mount.mount_point.clone(), mount.fs_type.clone()];
    let mut put = |series: &Series, mount: &Mount, value: f64| {
        page.put(series, &labels(mount).each_ref().map(String::as_str), value);
    };
    for (series, column) in &COLUMNS {
        for (mount, space) in mounts.iter().zip(&spaces) {
            if let Some(space) = space {
                put(series, mount, column(space));
            }
        }
    }
    for mount in &mounts {
        put(&READ_ONLY, mount, f64::from(u8::from(mount.is_read_only)));
    }
    for (mount, space) in mounts.iter().zip(&spaces) {
        put(&ERROR, mount, f64::from(u8::from(space.is_none())));
    }
    Ok(left_out)
}

/// The device, the mount point, the type and the options are a line's first words.
fn mount(line: &[u8], files: &Files) -> Option<Mount> {
    let mut words = line.split(|byte| *byte == b' ');
    let (device, mount_point, fs_type, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let mount_point = unescaped(mount_point);
    // Bytes that are no text go on to the kernel as they are; only labels are text.
    let shown = String::from_utf8_lossy(&mount_point).into_owned();
    let (named, path) = match files.seen_from_root(&shown) {
        named if named == shown => (shown.clone(), files.under_root(Path::new(OsStr::from_bytes(&mount_point)))),
        named => (named.to_owned(), files.under_root(Path::new(named))),
    };
    Some(Mount {
        is_elsewhere: !device.starts_with(b"/dev/"),
        device: String::from_utf8_lossy(device).into_owned(),
        mount_point: named,
        fs_type: String::from_utf8_lossy(fs_type).into_owned(),
        is_read_only: options.split(|byte| *byte == b',').any(|option| option == b"ro"),
        path,
    })
}

/// What stands as `\040`, by its octal digits, is a blank.
fn unescaped(mut word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    while let Some((first, rest)) = word.split_first() {
        let octal = rest.first_chunk::<3>().filter(|_| *first == b'\\').and_then(|digits| {
            let text =
                std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
            u8::from_str_radix(text, 8).ok()
        });
        plain.push(octal.unwrap_or(*first));
        word = if octal.is_some() { &rest[3..] } else { rest };
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Files, Mount, mount, unescaped};

    #[test]
    fn blanks_and_backslashes_of_names_are_as_they_were() {
        assert_eq!(unescaped(br"/a\040b\011c\134d\012"), b"/a b\tc\\d\n");
        assert_eq!(unescaped(br"/a\0"), br"/a\0");
        assert_eq!(unescaped(br"/a\999\400"), br"/a\999\400");
        assert_eq!(unescaped(b"/\xff\\"), b"/\xff\\");
    }

    #[test]
    fn in_a_container_the_machines_file_systems_are_asked_where_they_are_mounted_and_named_as_the_machine_does() {
        let files = Files::new(PathBuf::new(), PathBuf::new(), PathBuf::from("/rootfs"));
        let seen = |line: &str| mount(line.as_bytes(), &files).map(|mount| (mount.mount_point, mount.path));
        for (line, name, path) in [
            ("/dev/sda1 / ext4 rw 0 0", "/", "/rootfs/"),
            ("/dev/sda1 /var/lib ext4 rw 0 0", "/var/lib", "/rootfs/var/lib"),
            // So they stand in our own list, if the machine's can't be read.
            ("/dev/sda1 /rootfs ext4 rw 0 0", "/", "/rootfs/"),
            ("/dev/sda2 /rootfs/boot ext4 rw 0 0", "/boot", "/rootfs/boot"),
            ("/dev/sda2 /rootfsys ext4 rw 0 0", "/rootfsys", "/rootfs/rootfsys"),
        ] {
            assert_eq!(seen(line), Some((name.to_owned(), PathBuf::from(path))), "{line}");
        }
    }

    #[test]
    fn a_line_says_the_device_the_type_and_whether_it_can_be_written() {
        let files = Files::new(PathBuf::new(), PathBuf::new(), PathBuf::from("/"));
        let found = mount(br"nas:/my\040share /mnt/my\040share nfs4 ro,relatime,errors=remount-rw 0 0", &files);
        let expected = Mount {
            is_elsewhere: true,
            device: r"nas:/my\040share".to_owned(),
            mount_point: "/mnt/my share".to_owned(),
            fs_type: "nfs4".to_owned(),
            is_read_only: true,
            path: Path::new("/mnt/my share").to_owned(),
        };
        assert_eq!(found, Some(expected));
        assert_eq!(mount(b"a b c", &files), None);
    }
}
