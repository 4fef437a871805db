//! Mistakes that people make, and the whole message that each is answered with: `typos.txt`.
//!
//! A case is a line `### name`, files or variables that begin with `>>> path`, and the message behind `<<<`. With
//! `LOGDRIVE_TYPOS=write` the messages are written instead of compared, to be read in the diff.

use std::{env, ffi::OsString, fs, path::PathBuf};

use super::{Config, files::File};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/typos.txt");

struct Case<'t> {
    name: &'t str,
    /// Paths of files or names of variables, and what stands in them.
    inputs: Vec<(&'t str, &'t str)>,
    expected: &'t str,
}

impl<'t> Case<'t> {
    fn read(text: &'t str) -> Self {
        let (name, rest) = text.split_once('\n').expect("a name");
        let (inputs, expected) = rest.split_once("<<<\n").expect("a message");
        let inputs = inputs.split(">>> ").skip(1).map(|input| input.split_once('\n').expect("what stands in it"));
        Self { name, inputs: inputs.collect(), expected: expected.trim_end() }
    }

    fn message(&self) -> String {
        let (variables, files): (Vec<_>, Vec<_>) =
            self.inputs.iter().partition(|(name, _)| name.starts_with("LOGDRIVE_"));
        let files: Vec<File> =
            files.iter().map(|(path, text)| File { path: PathBuf::from(path), text: (*text).to_owned() }).collect();
        let variables: Vec<(OsString, OsString)> =
            variables.iter().map(|(name, value)| (name.into(), value.trim_end().into())).collect();
        match Config::parse(&files, &variables) {
            Ok(_) => "(accepted)".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    fn write(&self, message: &str) -> String {
        let inputs: String = self.inputs.iter().map(|(name, text)| format!(">>> {name}\n{text}")).collect();
        format!("### {}\n{inputs}<<<\n{message}\n\n", self.name)
    }
}

#[test]
fn each_mistake_is_answered_as_it_should_be() {
    let text = fs::read_to_string(FILE).expect("it is there");
    let (head, cases) = text.split_once("### ").expect("a case");
    let cases: Vec<Case<'_>> = cases.split("\n### ").map(Case::read).collect();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    if env::var_os("LOGDRIVE_TYPOS").is_some_and(|what| what == "write") {
        let written: String = cases.iter().map(|case| case.write(&case.message())).collect();
        fs::write(FILE, format!("{head}{}\n", written.trim_end())).expect("written");
        return;
    }
    let wrong = cases.iter().filter(|case| case.message() != case.expected);
    let wrong: String =
        wrong.map(|case| format!("{}: expected\n{}\ngot\n{}\n\n", case.name, case.expected, case.message())).collect();
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn each_section_has_a_mistake() {
    let text = fs::read_to_string(FILE).expect("it is there");
    for (section, _) in super::schema::Schema::of::<Config>().fields() {
        let named = [format!("[{section}"), format!("[[{section}"), format!("\n{section}")];
        assert!(named.iter().any(|name| text.contains(name.as_str())), "no case is about {section}");
    }
}
