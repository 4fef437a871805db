//! `[[tests]]`: sample lines and what is to become of them, in a file beside the configuration.
//!
//! It is strict like the configuration, and its mistakes are told in the same way.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::de::Deserializer;

use super::{
    ConfigError, check,
    files::{self, File},
    load::gather,
    places::locate,
    problem::{Problem, Sources},
    refusal,
    schema::Schema,
};

/// Where the tests of a configuration stand, unless another file is named.
const NAME: &str = "logdrive.tests.toml";

/// All tests of a file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examples {
    /// The tests, in their order.
    #[serde(default)]
    pub tests: Vec<Example>,
}

/// Sample lines of a task, and what is to become of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What is shown for it.
    pub name: String,
    /// The task that reads the lines.
    pub task: String,
    /// The file that the lines would stand in; the task has to mean it. None means any.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// The file's content, as text.
    #[serde(default)]
    pub input: Option<String>,
    /// A file with it, relative to the tests' file.
    #[serde(default)]
    pub input_file: Option<PathBuf>,
    /// What is to become of them; what it doesn't say may be anything.
    #[serde(default)]
    pub expect: Expectation,
}

/// What is to become of sample lines.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expectation {
    /// The message of each document, in order.
    pub messages: Option<Vec<String>>,
    /// Fields of each document, in order; dots lead into objects. Fields that are not named may be anything.
    pub documents: Option<Vec<Map<String, Value>>>,
    /// The topic that the lines go to.
    pub topic: Option<String>,
    /// The key of their records, in which `{file}` stands for the file's identity.
    pub key: Option<String>,
}

impl Examples {
    /// Reads the file at `path`, or else `logdrive.tests.toml` beside the configuration `config`. `input_file` of each
    /// test is then a path that can be opened.
    ///
    /// # Errors
    /// If it can't be read, or anything in it is not valid. The error tells every mistake that was found.
    pub fn load(path: Option<&Path>, config: Option<&Path>) -> Result<Self, ConfigError> {
        let beside = || config.unwrap_or(Path::new(NAME)).with_file_name(NAME);
        let path = path.map_or_else(beside, Path::to_owned);
        let mut examples = Self::parse(&[files::read_alone(path.clone())?])?;
        for example in &mut examples.tests {
            example.input_file = example.input_file.take().map(|file| path.with_file_name("").join(file));
        }
        Ok(examples)
    }

    fn parse(file: &[File]) -> Result<Self, ConfigError> {
        let mut sources = Sources::default();
        let (table, mut problems) = gather(file, &mut sources)?;
        check::table(table.get_ref(), &Schema::of::<Self>(), "", &mut problems);
        if !problems.is_empty() {
            return Err(ConfigError::new(problems, &sources));
        }
        let examples = Self::deserialize(Deserializer::from(table.clone()))
            .map_err(|error| ConfigError::new(vec![refusal::meant(&error, None)], &sources))?;
        for (index, example) in examples.tests.iter().enumerate() {
            if example.input.is_some() == example.input_file.is_some() {
                let span = locate(table.get_ref(), &format!("tests.{index}.input"));
                let problem = Problem::new(span, "a test has either input or input_file");
                problems.push(problem.hint("write the lines as input = '''…''', or name a file with them"));
            }
        }
        if problems.is_empty() { Ok(examples) } else { Err(ConfigError::new(problems, &sources)) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Examples, File};

    fn parse(text: &str) -> Result<Examples, String> {
        let file = File { path: "logdrive.tests.toml".into(), text: text.to_owned() };
        Examples::parse(&[file]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_test_says_what_it_is_given_and_what_it_expects() {
        let text = "[[tests]]\nname = \"n\"\ntask = \"t\"\ninput = '''\na\nb\n'''\n[tests.expect]\nmessages = [\"a\"]\n\
                    documents = [{ message = \"a\", \"log.level\" = \"info\" }, {}]\n";
        let examples = parse(text).expect("valid");
        let test = &examples.tests[0];
        assert_eq!(test.input.as_deref(), Some("a\nb\n"));
        let documents = test.expect.documents.as_deref().expect("there");
        assert_eq!((documents.len(), &documents[0]["log.level"]), (2, &"info".into()));
    }

    #[test]
    fn a_mistake_is_told_where_it_stands() {
        let refused = |text: &str| parse(text).map(|_| ()).expect_err("refused");
        let text = "[[tests]]\nname = \"n\"\ntask = \"t\"\nexpect = { message = [\"a\"] }\n";
        assert!(
            refused(text).starts_with("logdrive.tests.toml:4:12: there is no setting \"message\""),
            "{}",
            refused(text)
        );
        let text = "[[tests]]\nname = \"n\"\ntask = \"t\"\n";
        assert!(refused(text).starts_with("logdrive.tests.toml:1:1: a test has either input"), "{}", refused(text));
    }
}
