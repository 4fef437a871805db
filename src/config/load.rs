//! From files and the environment to a valid [`Config`].

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, Deserializer},
};

use super::{
    Config, ConfigError, check, environment,
    files::{self, File, PLACES},
    fixed::Fixed,
    merge,
    places::moved,
    problem::{Problem, Sources},
    refusal, rules,
    schema::Schema,
};

impl Config {
    /// Reads the file at `path`, or else the first that exists of `./logdrive.toml` and
    /// `/etc/logdrive/logdrive.toml`, or else none; then the files of `conf.d/` beside it, which add to it; then the
    /// environment, which overrides what the files say.
    ///
    /// # Errors
    /// If a file can't be read, or anything in it or in the environment is not valid. The error tells every mistake
    /// that was found.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let variables: Vec<_> = std::env::vars_os().collect();
        Self::parse(&files::read(path)?, &variables)
    }

    /// What the files' texts and the variables say.
    pub(super) fn parse(files: &[File], variables: &[(OsString, OsString)]) -> Result<Self, ConfigError> {
        let mut sources = Sources::default();
        let schema = Schema::of::<Config>();
        let (table, mut problems) = merged(files, variables, &schema, &mut sources)?;
        check::table(table.get_ref(), &schema, "", &mut problems);
        if !problems.is_empty() {
            return Err(ConfigError::new(problems, &sources));
        }
        let mut config = Self::deserialize(Deserializer::from(table.clone()))
            .map_err(|error| ConfigError::new(vec![refusal::meant(&error, None)], &sources))?;
        let broken = rules::broken(&config);
        if !broken.is_empty() {
            let placed = broken.into_iter().map(|breach| breach.placed(table.get_ref()));
            return Err(ConfigError::new(placed.collect(), &sources));
        }
        config.written = table.get_ref().keys().map(|key| key.get_ref().to_string()).collect();
        let plain = toml::Table::deserialize(Deserializer::from(table))
            .map_err(|error| ConfigError::new(vec![refusal::meant(&error, None)], &sources))?;
        config.fixed = Fixed::of(&plain);
        let mut paths = files.iter().map(|file| file.path.clone());
        config.file = paths.next();
        config.additions = paths.collect();
        Ok(config)
    }

    /// What the configuration was read from, for one who watches it: the file, the directory beside it (`conf.d`,
    /// which need not exist), and the files in that. Nothing, if there was no file.
    #[must_use]
    pub fn sources(&self) -> Vec<PathBuf> {
        let Some(file) = &self.file else { return Vec::new() };
        [file.clone(), files::directory(file)].into_iter().chain(self.additions.iter().cloned()).collect()
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

/// What files and variables say as one table, and what can't stand together in it.
pub(super) fn merged<'f>(
    files: &'f [File],
    variables: &'f [(OsString, OsString)],
    schema: &Schema,
    sources: &mut Sources,
) -> Result<(Spanned<DeTable<'f>>, Vec<Problem>), ConfigError> {
    let (mut table, mut problems) = gather(files, sources)?;
    problems.extend(environment::apply(table.get_mut(), variables, schema, sources));
    Ok((table, problems))
}

/// The tables of all files as one, and what can't stand together in it.
pub(super) fn gather<'f>(
    files: &'f [File],
    sources: &mut Sources,
) -> Result<(Spanned<DeTable<'f>>, Vec<Problem>), ConfigError> {
    let (mut table, mut problems) = (Spanned::new(0..0, DeTable::new()), Vec::new());
    let (mut tables, mut unread) = (Vec::new(), Vec::new());
    for File { path, text } in files {
        let start = sources.add_file(path, text);
        let (read, errors) = DeTable::parse_recoverable(text);
        let shifted = |place: std::ops::Range<usize>| place.start + start..place.end + start;
        // What follows the first mistake is mostly about the same one.
        unread.extend(
            errors
                .first()
                .map(|error| Problem { span: error.span().map(shifted), ..refusal::meant(error, Some(text)) }),
        );
        tables.push(moved(read.into_inner(), &shifted));
    }
    if !unread.is_empty() {
        return Err(ConfigError::new(unread, sources));
    }
    for one in tables {
        merge::merge(table.get_mut(), one, "", &mut problems);
    }
    Ok((table, problems))
}
