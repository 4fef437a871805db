//! What the lines of a stream are, beside bytes: their charset, and what someone put around them.

use super::Charset;

/// How the text of a stream is to be understood. It travels with the bytes, which stay as they stood in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Form {
    /// How bytes stand for characters.
    pub charset: Charset,
    /// What a container runtime put around each line.
    pub container: Option<Container>,
}

/// The ways in which container runtimes write what a container says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Container {
    /// Kubernetes' container runtime interface: `TIME stdout|stderr P|F TEXT`.
    Cri,
    /// Docker's json-file driver: `{"log":"TEXT\n","stream":"stdout","time":"TIME"}`.
    DockerJson,
}

impl Form {
    /// Whether every line is UTF-8 and stands for itself, so that there is nothing to say about it.
    #[must_use]
    pub fn is_plain(self) -> bool {
        self.charset.is_utf8() && self.container.is_none()
    }
}

impl Container {
    /// All of them.
    pub const ALL: [Container; 2] = [Container::Cri, Container::DockerJson];

    /// Its name in settings and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Container::Cri => "cri",
            Container::DockerJson => "docker-json",
        }
    }
}
