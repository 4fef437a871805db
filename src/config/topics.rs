//! Which topic lines go to: what their task's template makes of their labels, and never more topics than are wanted.

use std::{collections::HashSet, sync::Arc};

use thiserror::Error;

use super::{
    Agent, Task,
    template::{Template, TemplateError},
};
use crate::record::Labels;

/// The longest name that Kafka takes.
const NAME_BYTES_MAX: usize = 249;

/// Makes topics of templates, and counts those that it made.
///
/// A topic that is written out was wanted as it is; those that come of values may be more than anyone thought, so
/// these have a limit (`agent.topics_max`).
#[derive(Clone, Debug)]
pub struct Topics {
    max: usize,
    made: HashSet<Arc<str>>,
}

/// Why lines have no topic.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TopicError {
    /// The template is none, or asks for something that nobody knows.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The template begins with a placeholder. It holds the template.
    #[error("{0:?} begins with a placeholder, so a value could name any topic")]
    Open(String),
    /// Kafka takes no such name. It holds the name.
    #[error("{0:?} can't be the name of a topic")]
    Name(String),
    /// There would be more topics than `agent.topics_max` allows.
    #[error("the topic {topic:?} would be one more than the {max} that agent.topics_max allows to come of labels")]
    Count {
        /// The topic that is one too many.
        topic: String,
        /// The limit.
        max: usize,
    },
}

impl Topics {
    /// No topics yet, and never more of templates than `max`.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, made: HashSet::new() }
    }

    /// The topic of lines of `task` that have `labels`. `{task}` in its template is the task's name, every other
    /// placeholder a label.
    ///
    /// # Errors
    /// If there is none; the topics that were made before stay what they are.
    pub fn of(&mut self, task: &Task, labels: &Labels) -> Result<Arc<str>, TopicError> {
        let template = Template::parse(&task.topic)?;
        if template.begins_open() {
            return Err(TopicError::Open(task.topic.clone()));
        }
        let name = template.fill(|name| if name == "task" { Some(&*task.name) } else { labels.get(name) })?;
        if !is_topic(&name) {
            return Err(TopicError::Name(name));
        }
        if template.is_fixed() {
            return Ok(name.into());
        }
        if let Some(made) = self.made.get(name.as_str()) {
            return Ok(Arc::clone(made));
        }
        if self.made.len() >= self.max {
            return Err(TopicError::Count { topic: name, max: self.max });
        }
        let name: Arc<str> = name.into();
        self.made.insert(Arc::clone(&name));
        Ok(name)
    }
}

impl Agent {
    /// The topic of each task, in their order.
    ///
    /// # Errors
    /// If one has none, which is refused when the configuration is loaded.
    pub fn topics(&self) -> Result<Vec<Arc<str>>, TopicError> {
        let mut topics = Topics::new(self.topics_max);
        self.tasks.iter().map(|task| topics.of(task, &task.labels)).collect()
    }
}

/// Kafka's own rule for the names of topics.
pub(super) fn is_topic(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name != "." && name != ".." && name.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::{TopicError, Topics};
    use crate::{config::Task, record::Labels};

    fn task(topic: &str) -> Task {
        toml::from_str(&format!("name = \"web\"\npaths = [\"/a\"]\ntopic = \"{topic}\"")).expect("a task")
    }

    fn service(name: &str) -> Labels {
        [("service", name)].into_iter().collect()
    }

    #[test]
    fn a_topic_is_made_of_the_tasks_name_and_of_labels() {
        let mut topics = Topics::new(10);
        let mut of = |topic: &str| topics.of(&task(topic), &service("api")).map(|name| name.to_string());
        assert_eq!(of("app-{service}").as_deref(), Ok("app-api"));
        assert_eq!(of("app.{task}_{service}").as_deref(), Ok("app.web_api"));
        assert_eq!(of("{service}-app"), Err(TopicError::Open("{service}-app".to_owned())));
        assert!(matches!(of("app-{env}"), Err(TopicError::Template(_))));
        assert!(matches!(of("app-{env"), Err(TopicError::Template(_))));
    }

    #[test]
    fn what_kafka_takes_for_no_name_is_none() {
        let mut topics = Topics::new(10);
        let long = "a".repeat(249);
        for (template, value, is_name) in [
            ("app-{service}", "a b", false),
            ("app-{service}", "ä", false),
            (".{service}", ".", false),
            ("", "x", false),
            (&long, "x", true),
            (&format!("{long}{{service}}"), "x", false),
        ] {
            let made = topics.of(&task(template), &service(value));
            assert_eq!(made.is_ok(), is_name, "{template} {value}: {made:?}");
        }
    }

    #[test]
    fn topics_of_templates_are_never_more_than_the_limit_and_others_do_not_count() {
        let mut topics = Topics::new(2);
        assert!(topics.of(&task("fixed"), &service("x")).is_ok());
        for name in ["a", "b", "a"] {
            assert!(topics.of(&task("app-{service}"), &service(name)).is_ok(), "{name}");
        }
        let error = topics.of(&task("app-{service}"), &service("c")).expect_err("one too many");
        assert_eq!(error, TopicError::Count { topic: "app-c".to_owned(), max: 2 });
        assert!(topics.of(&task("fixed-too"), &service("c")).is_ok());
        assert!(topics.of(&task("app-{service}"), &service("b")).is_ok(), "it was made before");
    }
}
