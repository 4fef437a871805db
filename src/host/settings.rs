//! What is read of the machine, as it stands under `[host]`.

use std::{path::PathBuf, time::Duration};

use regex::Regex;
use serde::Deserialize;

/// Which of the machine's figures are served beside the process's own, and where they are read.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether they are served at all. Off where node_exporter runs on the same machine: the same series under two jobs
    /// would count twice in every sum.
    pub enabled: bool,
    /// Which of them, by node_exporter's names for its collectors.
    pub collectors: Vec<Collector>,
    /// Where the machine's `/proc` is: elsewhere in a container that has it mounted.
    pub proc: PathBuf,
    /// Where the machine's `/sys` is.
    pub sys: PathBuf,
    /// Where the machine's `/` is, under which its file systems are asked for their space.
    pub root: PathBuf,
    /// Mount points that are left out, as a regular expression; empty leaves out none, here and in the next three.
    pub mount_points_exclude: String,
    /// Types of file systems that are left out.
    pub fs_types_exclude: String,
    /// Block devices that are left out.
    pub disks_exclude: String,
    /// Network interfaces that are left out.
    pub interfaces_exclude: String,
    /// How many file systems, block devices and interfaces may have series, of each; the others are counted.
    pub devices_max: usize,
    /// A file system that does not tell its space within this time counts as stuck, and is not asked again until it has.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub mount_timeout: Duration,
}

/// A group of figures that is read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Collector {
    /// Seconds of each processor, by mode.
    Cpu,
    /// Block devices.
    Diskstats,
    /// Open file descriptors of the whole machine.
    Filefd,
    /// File systems and their space.
    Filesystem,
    /// The load averages.
    Loadavg,
    /// Memory and swap.
    Meminfo,
    /// What interfaces are: up, how fast, their MTU.
    Netclass,
    /// What went through interfaces.
    Netdev,
    /// Pressure stall information.
    Pressure,
    /// Boot time, context switches, forks, interrupts, processes.
    Stat,
    /// The clock.
    Time,
    /// The names of the machine and of its kernel.
    Uname,
    /// Paging, and processes killed for want of memory.
    Vmstat,
}

impl Collector {
    /// Every one there is.
    pub const ALL: [Self; 13] = [
        Self::Cpu,
        Self::Diskstats,
        Self::Filefd,
        Self::Filesystem,
        Self::Loadavg,
        Self::Meminfo,
        Self::Netclass,
        Self::Netdev,
        Self::Pressure,
        Self::Stat,
        Self::Time,
        Self::Uname,
        Self::Vmstat,
    ];

    /// What a setting and a label call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Diskstats => "diskstats",
            Self::Filefd => "filefd",
            Self::Filesystem => "filesystem",
            Self::Loadavg => "loadavg",
            Self::Meminfo => "meminfo",
            Self::Netclass => "netclass",
            Self::Netdev => "netdev",
            Self::Pressure => "pressure",
            Self::Stat => "stat",
            Self::Time => "time",
            Self::Uname => "uname",
            Self::Vmstat => "vmstat",
        }
    }
}

impl Settings {
    /// The settings that are regular expressions, each by its name.
    #[must_use]
    pub fn patterns(&self) -> [(&'static str, &str); 4] {
        [
            ("mount_points_exclude", &self.mount_points_exclude),
            ("fs_types_exclude", &self.fs_types_exclude),
            ("disks_exclude", &self.disks_exclude),
            ("interfaces_exclude", &self.interfaces_exclude),
        ]
    }

    /// What is wrong with a regular expression; none if nothing is.
    #[must_use]
    pub fn fault(pattern: &str) -> Option<String> {
        // The last line of its message says what is wrong; those before show where, which the configuration's own do.
        let why = Regex::new(pattern).err()?.to_string();
        Some(why.lines().last().unwrap_or(&why).trim_start_matches("error: ").to_owned())
    }
}

impl Default for Settings {
    /// The patterns are those of node_exporter, and `veth`: each container that comes has one, of a name of its own, so
    /// that series would come without end.
    fn default() -> Self {
        Self {
            enabled: false,
            collectors: Collector::ALL.to_vec(),
            proc: PathBuf::from("/proc"),
            sys: PathBuf::from("/sys"),
            root: PathBuf::from("/"),
            mount_points_exclude:
                r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)".to_owned(),
            fs_types_exclude: concat!(
                "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|",
                "overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs)$"
            )
            .to_owned(),
            disks_exclude: r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$".to_owned(),
            interfaces_exclude: "^veth".to_owned(),
            devices_max: 200,
            mount_timeout: Duration::from_secs(1),
        }
    }
}
