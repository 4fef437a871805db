//! From a file and the environment to a valid [`Config`].

use std::{
    ffi::OsString,
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue, Deserializer},
};

use super::{
    Config, ConfigError, check, environment,
    fixed::Fixed,
    problem::{Problem, Sources},
    rules,
    schema::Schema,
};

/// Where a configuration is looked for when none is named; the first that exists is taken.
const PLACES: [&str; 2] = ["logdrive.toml", "/etc/logdrive/logdrive.toml"];

impl Config {
    /// Reads the file at `path`, or else the first that exists of `./logdrive.toml` and
    /// `/etc/logdrive/logdrive.toml`, or else none; then the environment, which overrides what the file says.
    ///
    /// # Errors
    /// If the file that is named can't be read, or anything in it or in the environment is not valid. The error
    /// tells every mistake that was found.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let variables: Vec<_> = std::env::vars_os().collect();
        let file = match path {
            Some(path) => Some((path.to_owned(), read(path)?)),
            None => find()?,
        };
        Self::parse(file, &variables)
    }

    /// What a file's text and the variables say.
    pub(super) fn parse(
        file: Option<(PathBuf, String)>,
        variables: &[(OsString, OsString)],
    ) -> Result<Self, ConfigError> {
        let mut sources = Sources::default();
        let mut table = Spanned::new(0..0, DeTable::new());
        if let Some((path, text)) = &file {
            sources.add_file(path, text);
            table = DeTable::parse(text).map_err(|error| refusal(&error, &sources))?;
        }
        let schema = Schema::of::<Config>();
        let mut problems = environment::apply(table.get_mut(), variables, &schema, &mut sources);
        check::table(table.get_ref(), &schema, "", &mut problems);
        if !problems.is_empty() {
            return Err(ConfigError::new(problems, &sources));
        }
        let mut config =
            Self::deserialize(Deserializer::from(table.clone())).map_err(|error| refusal(&error, &sources))?;
        let broken = rules::broken(&config);
        if !broken.is_empty() {
            let placed =
                |(path, problem): (String, Problem)| Problem { span: locate(table.get_ref(), &path), ..problem };
            return Err(ConfigError::new(broken.into_iter().map(placed).collect(), &sources));
        }
        config.written = table.get_ref().keys().map(|key| key.get_ref().to_string()).collect();
        let plain = toml::Table::deserialize(Deserializer::from(table)).map_err(|error| refusal(&error, &sources))?;
        config.fixed = Fixed::of(&plain);
        config.file = file.map(|(path, _)| path);
        Ok(config)
    }

    /// Whether a file or a variable has something of this table (`kafka`, `elasticsearch`, …).
    #[must_use]
    pub fn names(&self, table: &str) -> bool {
        self.written.contains(table)
    }

    /// The settings that differ between two configurations and can't change while a process runs, by their dotted paths.
    #[must_use]
    pub fn differing(&self, other: &Config) -> Vec<String> {
        self.fixed.differing(&other.fixed)
    }

    /// Whether there is what `logdrive agent` needs.
    ///
    /// # Errors
    /// If there is no task, and no etcd that tasks could come from.
    pub fn for_agent(&self) -> Result<(), ConfigError> {
        let example =
            "add one:\n\n[[agent.tasks]]\nname = \"nginx\"\npaths = [\"/var/log/nginx/*.log\"]\ntopic = \"nginx\"";
        let has_tasks = !self.agent.tasks.is_empty() || !self.etcd.endpoints.is_empty();
        if !has_tasks { Err(self.lacks("no task says what to collect", example)) } else { Ok(()) }
    }

    /// Whether there is what `logdrive transfer` needs.
    ///
    /// # Errors
    /// If no topic is named.
    pub fn for_transfer(&self) -> Result<(), ConfigError> {
        let example = "name at least one:\n\n[transfer]\ntopics = [\"nginx\"]";
        if self.transfer.topics.is_empty() { Err(self.lacks("no topic is named", example)) } else { Ok(()) }
    }

    fn lacks(&self, what: &str, hint: &str) -> ConfigError {
        let place = match &self.file {
            Some(file) => file.display().to_string(),
            None => format!("no configuration ({})", PLACES.join(", ")),
        };
        ConfigError::plain(format!("{place}: {what}\nhint: {hint}"))
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "\nhint: logdrive.sample.toml shows what to write",
            io::ErrorKind::InvalidData => "\nhint: save it as UTF-8",
            _ => "",
        };
        ConfigError::plain(format!("can't read the configuration {}: {error}{hint}", path.display()))
    })
}

/// The first configuration that exists. One that exists and can't be read is an error, not passed over.
fn find() -> Result<Option<(PathBuf, String)>, ConfigError> {
    let found = PLACES.iter().map(Path::new).find(|path| path.is_file());
    found.map(|path| Ok((path.to_owned(), read(path)?))).transpose()
}

/// What the TOML reader or a type refused.
fn refusal(error: &toml::de::Error, sources: &Sources) -> ConfigError {
    let message = error.message();
    let problem = match message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        Some(name) => Problem::new(error.span(), format!("the setting {name:?} is missing here")),
        None => Problem::new(error.span(), format!("this can't be read: {}", message.replace('\n', "; "))),
    };
    ConfigError::new(vec![problem], sources)
}

/// Where a value stands that a dotted path names; the nearest thing around it, if it isn't written itself.
pub(super) fn locate(table: &DeTable<'_>, path: &str) -> Option<Range<usize>> {
    // The names of librdkafka's settings have dots themselves.
    if let Some(value) = table.get(path) {
        return Some(value.span());
    }
    let (name, rest) = path.split_once('.')?;
    let value = table.get(name)?;
    let inside = match value.get_ref() {
        DeValue::Table(table) => locate(table, rest),
        DeValue::Array(array) => locate_in(array, rest),
        _ => None,
    };
    Some(inside.unwrap_or_else(|| value.span()))
}

/// The same in a list, where a path begins with an index.
fn locate_in(array: &DeArray<'_>, path: &str) -> Option<Range<usize>> {
    let (index, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = array.get(index.parse::<usize>().ok()?)?;
    let inside = value.get_ref().as_table().and_then(|table| locate(table, rest));
    Some(inside.unwrap_or_else(|| value.span()))
}
