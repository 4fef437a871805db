//! Every message that a configuration can be refused with, as a person sees it.

use std::{collections::BTreeSet, ffi::OsString, path::PathBuf, time::Duration};

use bytesize::ByteSize;
use toml::de::{DeTable, DeValue};

use super::{Config, Target, check, files::File, schema::Schema};
use crate::reader::Io;

type Variables<'a> = &'a [(&'a str, &'a str)];

fn parse(text: &str, variables: Variables) -> Result<Config, String> {
    let variables: Vec<(OsString, OsString)> =
        variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    Config::parse(&[file("some.toml", text)], &variables).map_err(|error| error.to_string())
}

fn file(path: &str, text: &str) -> File {
    File { path: PathBuf::from(path), text: text.to_owned() }
}

/// The whole message of a configuration that is refused.
fn refused(text: &str, variables: Variables) -> String {
    parse(text, variables).map(|_| ()).expect_err(text)
}

/// The message for a file, without the lines that show where: `line:column: what`, then `hint: …` if there is one.
fn told(text: &str) -> Vec<String> {
    let shown = refused(text, &[]);
    let lines = shown.lines().filter(|line| line.starts_with("some.toml:") || line.starts_with("hint: "));
    lines.map(|line| line.trim_start_matches("some.toml:").to_owned()).collect()
}

#[test]
fn a_problem_shows_its_place_its_line_and_what_was_meant() {
    let text = "[[agent.tasks]]\nname = \"a\"\npath = [\"/var/log/*.log\"]\ntopic = \"a\"\n";
    let expected = "\
some.toml:3:1: there is no setting \"path\" in [[agent.tasks]]
  |
3 | path = [\"/var/log/*.log\"]
  | ^^^^
hint: did you mean \"paths\"?";
    assert_eq!(refused(text, &[]), expected);
}

#[test]
fn all_problems_are_told_at_once_and_in_order() {
    let text = "data_dri = \"/d\"\n[agent]\nio = \"urng\"\nlane = 2\n[kafkas]\n";
    let expected = [
        "1:1: there is no setting \"data_dri\" at the top of the file",
        "hint: did you mean \"data_dir\"?",
        "3:6: agent.io takes \"auto\" or \"uring\" or \"pread\", not \"urng\"",
        "hint: did you mean \"uring\"?",
        "4:1: there is no setting \"lane\" in [agent]",
        "hint: did you mean \"lanes\"?",
        "5:2: there is no setting \"kafkas\" at the top of the file",
        "hint: did you mean \"kafka\"?",
    ];
    assert_eq!(told(text), expected);
}

#[test]
fn a_name_that_is_like_no_other_is_answered_with_all_there_are() {
    assert_eq!(told("[metrics]\nzzz = 1\n")[1], "hint: known here: listen, debug, files_max, profile");
}

#[test]
fn a_value_of_the_wrong_kind_is_answered_with_the_right_one() {
    let cases = [
        ("[agent]\nlanes = \"2\"", "2:9: agent.lanes takes a whole number, not text", "write digits, without quotes"),
        (
            "[agent]\nrescan = 30",
            "2:10: agent.rescan takes a duration such as \"500ms\", not a whole number",
            "write it in quotes and with its unit: \"30s\"",
        ),
        (
            "[elasticsearch]\nurls = \"http://a:9200\"",
            "2:8: elasticsearch.urls takes a list of texts, not text",
            "write it in brackets: [\"…\"]",
        ),
        (
            "[kafka]\nsettings = { \"linger.ms\" = 20 }",
            "2:28: kafka.settings.linger.ms takes text in quotes, not a whole number",
            "write it in quotes",
        ),
        (
            "[agent.tasks]\nname = \"a\"",
            "1:1: agent.tasks takes a list of tables, not a table",
            "write its name in two brackets: [[agent.tasks]]",
        ),
    ];
    for (text, what, hint) in cases {
        assert_eq!(told(text), [what.to_owned(), format!("hint: {hint}")], "{text}");
    }
}

#[test]
fn a_value_that_can_not_be_read_says_what_can() {
    let cases = [
        (
            "drain_timeout = \"5 parsecs\"",
            "17: agent.drain_timeout takes a duration such as \"500ms\", not \"5 parsecs\"",
        ),
        ("drain_timeout = \"-5s\"", "17: agent.drain_timeout takes a duration such as \"500ms\", not \"-5s\""),
        (
            "in_flight_bytes_max = \"lots\"",
            "23: agent.in_flight_bytes_max takes a size such as \"64MiB\", not \"lots\"",
        ),
        ("in_flight_bytes_max = \"0MiB\"", "23: agent.in_flight_bytes_max is 0, which lets nothing pass"),
        ("line_bytes_max = -1", "18: agent.line_bytes_max takes a size such as \"64MiB\", not \"-1\""),
        ("lanes = 70000", "9: 70000 is out of range"),
    ];
    for (text, what) in cases {
        assert_eq!(told(&format!("[agent]\n{text}"))[0], format!("2:{what}"), "{text}");
    }
    let zero = "2:21: elasticsearch.bulk_requests_max is 0, which lets nothing pass";
    assert_eq!(told("[elasticsearch]\nbulk_requests_max = 0"), [zero]);
    assert_eq!(told("[agent\n"), ["1:7: this can't be read: unclosed table, expected `]`"]);
    assert_eq!(told("[web]\n[web]\n")[0], "2:2: this stands in the file a second time");
    assert_eq!(told("[[agent.tasks]]\nname = \"a\"\ntopic = \"a\"")[0], "1:1: the setting \"paths\" is missing here");
}

#[test]
fn every_rule_that_is_broken_is_told_with_what_to_do() {
    let cases: &[(&str, &str)] = &[
        ("data_dir = \"\"", "1:12: data_dir is empty"),
        ("worker_threads = 0", "1:18: worker_threads is 0"),
        ("[metrics]\nlisten = \"9717\"", "2:10: metrics.listen is no address to listen on: \"9717\""),
        ("[web]\nlisten = \"127.0.0.1:9717\"", "2:10: web.listen is the address of metrics.listen too"),
        ("[agent]\nlanes = 65", "2:9: agent.lanes is 65"),
        ("[agent]\nhost = \" \"", "2:8: agent.host is empty"),
        ("[agent]\nline_bytes_max = 100", "2:18: agent.line_bytes_max is 100 B, less than 1.0 KiB"),
        ("[agent]\nopen_files_max = 3", "2:18: agent.open_files_max is 3, less than 16"),
        ("[agent]\nin_flight_bytes_max = \"4GiB\"", "2:23: agent.in_flight_bytes_max is 4.0 GiB, more than 4.0 GiB"),
        (
            "[agent]\nbatch = { bytes_max = \"40MiB\" }",
            "2:23: agent.batch.bytes_max is 40.0 MiB, more than agent.in_flight_bytes_max, 24.0 MiB",
        ),
        ("[agent]\nrescan = \"1ms\"", "2:10: agent.rescan is less than 100ms"),
        ("[transfer]\nworkers = 0", "2:11: transfer.workers is 0"),
        ("[transfer]\ngroup = \"\"", "2:9: transfer.group is empty"),
        ("[elasticsearch]\nurls = []", "2:8: elasticsearch.urls is empty"),
        ("[embedded]\nthreads = 9", "2:11: embedded.threads is 9"),
        (
            "[transfer]\nindex = \"a\"\ndata_stream = \"b\"",
            "3:15: transfer.index and transfer.data_stream are both set",
        ),
        ("[transfer]\ndead_letter_topic = \"a/b\"", "2:21: \"a/b\" can't be the name of a topic"),
        ("[transfer]\ntopics = [\"a\", \"b c\"]", "2:16: \"b c\" can't be the name of a topic"),
        (
            "[transfer]\ntopics = [\"logdrive-dead-letter\"]",
            "2:11: \"logdrive-dead-letter\" is the dead-letter topic as well",
        ),
    ];
    for (text, what) in cases.iter().copied() {
        let told = told(text);
        assert!(told[0] == what && told[told.len() - 1].starts_with("hint: "), "{text}: {told:?}");
    }
}

#[test]
fn what_a_room_refuses_of_its_settings_is_told_at_its_place() {
    let cases = [
        ("[kafka]\nsettings = { \"acks\" = \"1\" }", "2:23: the kafka setting \"acks\" can't be used: "),
        ("[kafka]\nsettings = { \"linger.mss\" = \"1\" }", "2:29: the kafka setting \"linger.mss\" can't be used: "),
        ("[transfer]\nindex = \"a-{host}\"", "2:9: the index name template has \"{host}\", which means nothing: "),
        ("[transfer]\ndata_stream = \"\"", "2:15: the index name template \"\" makes an empty name: "),
    ];
    for (text, what) in cases {
        let told = told(text);
        assert!(told[0].starts_with(what) && told[1].starts_with("hint: "), "{told:?}");
    }
}

#[test]
fn every_rule_of_tasks_that_is_broken_is_told_with_what_to_do() {
    let task = "[[agent.tasks]]\nname = \"a\"\npaths = [\"/a\"]\ntopic = \"a\"\n";
    assert_eq!(told(&format!("{task}{task}"))[0], "6:8: there are two tasks named \"a\"");
    let cases = [
        ("name = \"a\"", "name = \"\"", "2:8: the task's name is empty"),
        ("[\"/a\"]", "[]", "3:9: paths is empty"),
        (
            "[\"/a\"]",
            "[\"/a\", \"/b/[x\"]",
            "3:16: the pattern \"/b/[x\" can't be used: unclosed character class; missing ']'",
        ),
        ("topic = \"a\"", "topic = \"\"", "4:9: \"\" can't be the name of a topic"),
        ("topic = \"a\"", "topic = \"a\"\nvalue = \"json\"", "5:9: value says nothing of packed records"),
        ("topic = \"a\"", "topic = \"a\"\nheaders = false", "5:11: headers says nothing of packed records"),
        (
            "topic = \"a\"",
            "topic = \"a\"\nencoding = \"lines\"\nvalue = \"json\"\nmultiline = { preset = [\"cri\"] }",
            "6:9: value is \"json\", and the files are a container runtime's",
        ),
    ];
    for (good, bad, what) in cases {
        let told = told(&task.replace(good, bad));
        assert_eq!((told.len(), told[0].as_str()), (2, what), "{bad}");
    }
}

#[test]
fn what_a_task_says_of_its_text_is_read_and_has_to_mean_something() {
    let task = "[[agent.tasks]]\nname = \"a\"\npaths = [\"/a\"]\ntopic = \"a\"\n";
    let good =
        "charset = \"latin1\"\n[agent.tasks.multiline]\npreset = [\"docker-json\"]\nstart = '^\\d'\ntimeout = \"5s\"\n";
    let config = parse(&format!("{task}{good}"), &[]).expect("valid");
    let read = config.agent.tasks[0].reader();
    assert_eq!(read.charset.name(), "windows-1252");
    let multiline = read.multiline.expect("there");
    assert_eq!((multiline.start.as_deref(), multiline.lines_max), (Some("^\\d"), 500));
    assert_eq!(multiline.timeout, Duration::from_secs(5));
    let table = "[agent.tasks.multiline]\n";
    let cases = [
        ("charset = \"utf8le\"".to_owned(), "5:11: there is no charset \"utf8le\""),
        (table.to_owned(), "5:1: multiline has neither a preset nor a pattern"),
        (format!("{table}preset = \"java\""), "6:10: agent.tasks[].multiline.preset takes a list, not text"),
        (
            format!("{table}preset = [\"jawa\"]"),
            "6:11: agent.tasks[].multiline.preset[] takes \"java\" or \"python\" or \"go\" or \"cri\" or \"docker-json\" or \"json\", not \"jawa\"",
        ),
        (
            format!("{table}preset = [\"cri\", \"docker-json\"]"),
            "6:10: the presets \"cri\" and \"docker-json\" exclude each other",
        ),
        (format!("{table}preset = [\"go\"]\nend = 'x'"), "6:10: patterns and the preset \"go\" exclude each other"),
        (format!("{table}end = 'x'\nlines_max = 1"), "7:13: multiline.lines_max is 1"),
        (format!("{table}end = 'x'\ntimeout = \"1ms\""), "7:11: multiline.timeout is less than 100ms"),
        (
            format!("{table}end = 'x'\nbytes_max = \"2MiB\""),
            "7:13: multiline.bytes_max is more than agent.line_bytes_max, 1.0 MiB",
        ),
    ];
    for (text, what) in cases {
        let told = told(&format!("{task}{text}"));
        assert_eq!((told.len(), told[0].as_str()), (2, what), "{text}");
    }
    let pattern = refused(&format!("{task}{table}start = '('"), &[]);
    assert!(pattern.starts_with("some.toml:6:9: start is no regular expression: unclosed group\n"), "{pattern}");
}

#[test]
fn labels_are_few_short_and_called_as_labels_can_be() {
    let task = "[[agent.tasks]]\nname = \"a\"\npaths = [\"/a\"]\ntopic = \"a\"\n";
    let config = parse(&format!("{task}labels = {{ service = \"api\", env = \"prod\" }}"), &[]).expect("valid");
    assert_eq!(config.agent.tasks[0].reader().labels.get("service"), Some("api"));
    let many: String = (0..17).map(|number| format!("a{number} = \"x\", ")).collect();
    let cases = [
        ("\"a.b\" = \"x\"", "5:20: \"a.b\" can't be the name of a label"),
        ("env = \"\"", "5:18: the label env is empty, longer than 256 bytes, or has control characters"),
        ("env = 1", "5:18: agent.tasks[].labels.env takes text in quotes, not a whole number"),
        (&many, "5:10: there are 17 labels, more than 16"),
    ];
    for (labels, what) in cases {
        let told = told(&format!("{task}labels = {{ {labels} }}"));
        assert_eq!((told.len(), told[0].as_str()), (2, what), "{labels}");
    }
}

#[test]
fn a_topic_is_made_of_labels_and_a_mistake_in_it_is_told() {
    let task = "[[agent.tasks]]\nname = \"web\"\npaths = [\"/a\"]\nlabels = { service = \"api\", long = \"a b\" }\n";
    let config = parse(&format!("{task}topic = \"app-{{service}}.{{task}}\""), &[]).expect("valid");
    assert_eq!(config.agent.topics().expect("valid")[0].as_ref(), "app-api.web");
    let cases = [
        ("{service}", "\"{service}\" begins with a placeholder, so a value could name any topic"),
        ("app-{env}", "\"app-{env}\" has the placeholder {env}, of which the task knows nothing"),
        ("app-{service", "\"app-{service\" has a brace without its partner"),
        ("app-{long}", "\"app-a b\" can't be the name of a topic"),
    ];
    for (topic, what) in cases {
        let told = told(&format!("{task}topic = \"{topic}\""));
        assert_eq!((told.len(), told[0].as_str()), (2, format!("5:9: {what}").as_str()), "{topic}");
    }
    let hint = |topic: &str| told(&format!("{task}topic = \"{topic}\"")).remove(1);
    assert_eq!(hint("app-{env}"), "hint: add labels = { env = \"…\" }; {task} is the task's name");
    assert!(hint("app-{host}").contains("a label that several have"));
    let two = format!("[agent]\ntopics_max = 1\n{task}topic = \"a-{{service}}\"\n{}", task.replace("web", "b"));
    let told = told(&format!("{two}topic = \"b-{{service}}\""));
    let what = "the topic \"b-api\" would be one more than the 1 that agent.topics_max allows to come of labels";
    assert_eq!(told[0], format!("12:9: {what}"));
}

#[test]
fn a_key_says_something_that_tells_files_or_tasks_apart() {
    let task = "[[agent.tasks]]\nname = \"web\"\npaths = [\"/a\"]\ntopic = \"t\"\n";
    assert!(parse(&format!("{task}key = \"{{host}}/{{task}}\""), &[]).is_ok());
    assert!(parse(&format!("{task}key = \"{{file}}\"\nencoding = \"lines\""), &[]).is_ok());
    let cases = [
        ("file", "the key \"file\" is the same for all tasks and hosts, so that all lines go to one partition"),
        ("{file}", "the key \"{file}\" is another one for each file, and a packed record has lines of many"),
        ("{env}", "\"{env}\" has the placeholder {env}, of which the task knows nothing"),
        ("{", "\"{\" has a brace without its partner"),
    ];
    for (key, what) in cases {
        let told = told(&format!("{task}key = \"{key}\""));
        assert_eq!((told.len(), told[0].as_str()), (2, format!("5:7: {what}").as_str()), "{key}");
    }
}

#[test]
fn variables_override_the_file_and_are_read_as_their_settings_ask() {
    let variables = [
        ("LOGDRIVE_KAFKA__BOOTSTRAP_SERVERS", "a:9092,b:9092"),
        ("LOGDRIVE_KAFKA__SETTINGS__SASL_PASSWORD", "123"),
        ("LOGDRIVE_ELASTICSEARCH__URLS", "http://a:9200, http://b:9200"),
        ("LOGDRIVE_TRANSFER__TOPICS", "[\"a,b\"]"),
        ("LOGDRIVE_AGENT__LANES", "3"),
        ("LOGDRIVE_AGENT__IO", "pread"),
        ("LOGDRIVE_AGENT__BATCH__AGE_MAX", "2s"),
        ("LOGDRIVE_AGENT__TASKS", "[{ name = \"a\", paths = [\"/a\"], topic = \"a\" }]"),
    ];
    // The topic "a,b" is refused, which shows that a list in brackets is not split at commas.
    let message = refused("", &variables);
    assert!(message.starts_with("LOGDRIVE_TRANSFER__TOPICS: \"a,b\" can't be the name of a topic"), "{message}");
    let variables: Vec<_> = variables.into_iter().filter(|(name, _)| !name.ends_with("TOPICS")).collect();
    let config = parse("[agent]\nlanes = 2\nbatch = { bytes_max = \"1MiB\" }\n", &variables).expect("valid");
    assert_eq!(config.kafka.bootstrap_servers, "a:9092,b:9092");
    assert_eq!(config.kafka.settings.get("sasl.password").map(String::as_str), Some("123"));
    assert_eq!(config.elasticsearch.urls, ["http://a:9200", "http://b:9200"]);
    assert_eq!((config.agent.lanes, config.agent.io), (Some(3), Io::Pread));
    let batch = &config.agent.batch;
    assert_eq!((batch.bytes_max, batch.age_max), (ByteSize::mib(1), Duration::from_secs(2)));
    assert_eq!(&*config.agent.tasks[0].name, "a");
    assert!(config.names("elasticsearch") && !config.names("web"));
}

#[test]
fn a_variable_that_is_wrong_is_named_and_its_value_is_not_shown() {
    let cases = [
        (
            ("LOGDRIVE_KAFKA__BOOTSTRAP_SERVER", "hunter2"),
            "LOGDRIVE_KAFKA__BOOTSTRAP_SERVER: there is no setting of this name\n\
             hint: did you mean LOGDRIVE_KAFKA__BOOTSTRAP_SERVERS?",
        ),
        (
            ("LOGDRIVE_KAFKA", "hunter2"),
            "LOGDRIVE_KAFKA: kafka takes a table, not text\nhint: write [kafka] above its settings",
        ),
        (
            ("LOGDRIVE_AGENT__LANES", "two"),
            "LOGDRIVE_AGENT__LANES: agent.lanes takes a whole number, not text\nhint: write digits, without quotes",
        ),
        (
            ("LOGDRIVE_AGENT__BATCH", "{ bytes_max = 0 }"),
            "LOGDRIVE_AGENT__BATCH: agent.batch.bytes_max is 0, which lets nothing pass",
        ),
    ];
    for (variable, message) in cases {
        assert_eq!(refused("", &[variable]), message);
    }
}

#[test]
fn variables_that_are_not_settings_are_left_alone() {
    let variables = [
        ("LOGDRIVE_CONFIG", "/a"),
        ("LOGDRIVE_SERVICE_HOST", "10.0.0.1"),
        ("LOGDRIVE_AGENT_SERVICE_PORT_HTTP", "9717"),
        ("LOGDRIVE_PORT", "tcp://10.0.0.1:9717"),
        ("LOGDRIVE_WEB_PORT_7717_TCP_ADDR", "10.0.0.1"),
        ("PATH", "/bin"),
    ];
    assert!(parse("", &variables).is_ok());
}

#[test]
fn a_rule_for_documents_that_can_not_be_kept_says_why() {
    let rule = |settings: &str| told(&format!("[[document.rules]]\n{settings}\n"));
    let table = [
        ("json_target = \"host\"", "2:15: no object can be put under \"host\""),
        ("json_target = \"a..b\"", "2:15: no object can be put under \"a..b\""),
        ("time_key = \" \"", "2:12: time_key is empty"),
        ("json = false\ntime_key = \"t\"", "3:12: time_key is set, and json = false"),
        (
            "time = \"read\"\ntime_zone = \"UTC\"",
            "3:13: time_zone is set, and time = \"read\" takes no time from a line",
        ),
        ("time_format = \"%H:%M\"", "2:15: the time format \"%H:%M\" doesn't say which day and hour it is"),
        ("time = \"now\"", "2:8: document.rules[].time takes \"line\" or \"read\", not \"now\""),
    ];
    for (settings, expected) in table {
        let told = rule(settings);
        assert_eq!((told[0].as_str(), told.len()), (expected, 1 + usize::from(told[1..].len() == 1)), "{settings}");
    }
    assert!(rule("time_format = \"%i\"")[0].starts_with("2:15: the time format \"%i\" can't be read: "));
    parse("[[document.rules]]\ntasks = [\"a-*\"]\njson_target = \"app\"\ntime_format = \"%d/%m/%y %T%.f\"\n", &[])
        .expect("valid");
}

#[test]
fn an_empty_configuration_is_valid_and_says_what_a_command_lacks() {
    let config = parse("", &[]).expect("valid");
    assert_eq!(config.transfer.target(), Target::Index("logs-{topic}-%Y.%m.%d".to_owned()));
    let message = config.for_agent().map_err(|error| error.to_string()).expect_err("no task");
    assert!(message.starts_with("some.toml: no task says what to collect\nhint: add one:\n"), "{message}");
    let message = config.for_transfer().map_err(|error| error.to_string()).expect_err("no topic");
    assert!(message.starts_with("some.toml: no topic is named\nhint: "), "{message}");
}

#[test]
fn several_files_are_one_configuration() {
    let main =
        file("logdrive.toml", "[agent]\nlanes = 2\n[[agent.tasks]]\nname = \"a\"\npaths = [\"/a\"]\ntopic = \"a\"\n");
    let task = file(
        "conf.d/b.toml",
        "[agent.batch]\nage_max = \"2s\"\n[[agent.tasks]]\nname = \"b\"\npaths = [\"/b\"]\ntopic = \"b\"\n",
    );
    let config = Config::parse(&[main, task], &[]).expect("valid");
    let names: Vec<&str> = config.agent.tasks.iter().map(|task| &*task.name).collect();
    assert_eq!((names.as_slice(), config.agent.lanes), (["a", "b"].as_slice(), Some(2)));
    assert_eq!(config.agent.batch.age_max, Duration::from_secs(2));
    assert_eq!(config.sources(), ["logdrive.toml", "conf.d", "conf.d/b.toml"].map(PathBuf::from));
}

#[test]
fn a_mistake_is_told_at_its_place_in_its_file() {
    let told = |files: &[File]| Config::parse(files, &[]).map(|_| ()).expect_err("refused").to_string();
    let main = || file("logdrive.toml", "[transfer]\ntopics = [\"é\"]\n[agent]\nlanes = 2\n");
    let twice = file("conf.d/a.toml", "# ours\n[agent]\nlanes = 3\nio = \"urng\"\n");
    let expected = "\
conf.d/a.toml:3:1: agent.lanes is set in another file, too
  |
3 | lanes = 3
  | ^^^^^
logdrive.toml:4:1: this is the other one
  |
4 | lanes = 2
  | ^^^^^
hint: leave it out of one of the two

conf.d/a.toml:4:6: agent.io takes \"auto\" or \"uring\" or \"pread\", not \"urng\"
  |
4 | io = \"urng\"
  |      ^^^^^^
hint: did you mean \"uring\"?";
    assert_eq!(told(&[main(), twice]), expected);
    let lists = file("conf.d/a.toml", "transfer.topics = [\"b\"]\n");
    assert!(told(&[main(), lists]).starts_with("conf.d/a.toml:1:10: transfer.topics is set in another file, too\n"));
    let rule = file("conf.d/a.toml", "\n\n[embedded]\nthreads = 9\n");
    let told_of_rule = told(&[file("logdrive.toml", "[agent]"), rule]);
    assert!(told_of_rule.starts_with("conf.d/a.toml:4:11: embedded.threads is 9\n"), "{told_of_rule}");
    let broken = [file("logdrive.toml", "[agent\n"), file("conf.d/a.toml", "a = 1\nb = \"\n")];
    let told_of_both = told(&broken);
    assert!(
        told_of_both.contains("logdrive.toml:1:7: this") && told_of_both.contains("conf.d/a.toml:2:"),
        "{told_of_both}"
    );
    let task = "[[agent.tasks]]\nname = \"a\"\npaths = [\"/a\"]\ntopic = \"a\"\n";
    let tasks = [file("logdrive.toml", task), file("conf.d/a.toml", task)];
    assert!(told(&tasks).starts_with("conf.d/a.toml:2:8: there are two tasks named \"a\""), "{}", told(&tasks));
}

#[test]
fn ten_thousand_tasks_are_one_configuration_and_as_many_mistakes_are_a_short_message() {
    let task =
        |number: usize| format!("[[agent.tasks]]\nname = \"{number}\"\npaths = [\"/{number}\"]\ntopic = \"t\"\n");
    let text: String = (0..10_000).map(task).collect();
    assert_eq!(parse(&text, &[]).expect("valid").agent.tasks.len(), 10_000);
    let told = refused(&text.replace("paths", "path"), &[]);
    assert!(told.lines().count() < 150 && told.ends_with("… and 9980 more like these"), "{told}");
}

const SAMPLE: &str = include_str!("../../logdrive.sample.toml");

#[test]
fn the_sample_shows_the_defaults() {
    let mut config = parse(SAMPLE, &[]).expect("the sample is valid");
    let default = Config::default();
    assert_eq!((config.agent.tasks.len(), config.transfer.topics.len()), (1, 1));
    // What a sample has to show and nobody has by default.
    config.agent.tasks.clear();
    config.transfer.topics.clear();
    config.data_dir.clone_from(&default.data_dir);
    config.file = None;
    config.written.clear();
    config.fixed = default.fixed.clone();
    assert_eq!(format!("{config:#?}"), format!("{default:#?}"));
}

#[test]
fn the_sample_has_every_setting_and_no_other() {
    // A setting that is commented out has no blank or colon behind its `#`; of two that are alternatives the first counts.
    let mut text = String::new();
    for line in SAMPLE.lines() {
        let bare =
            line.strip_prefix('#').filter(|rest| !rest.starts_with([' ', ':']) && !rest.is_empty()).unwrap_or(line);
        if !bare.starts_with("settings = { ") {
            text.push_str(bare);
            text.push('\n');
        }
    }
    let table = DeTable::parse(&text).expect("TOML");
    let (schema, mut problems) = (Schema::of::<Config>(), Vec::new());
    check::table(table.get_ref(), &schema, "", &mut problems);
    assert_eq!(problems, []);
    let known: BTreeSet<String> = schema.paths("").into_iter().collect();
    let mut written = BTreeSet::new();
    paths(table.get_ref(), "", &known, &mut written);
    assert_eq!(written, known);
}

/// The dotted paths of what is written in a table; those that are `known` are not looked into.
fn paths(table: &DeTable<'_>, prefix: &str, known: &BTreeSet<String>, out: &mut BTreeSet<String>) {
    for (key, value) in table {
        let path = format!("{prefix}{}", key.get_ref());
        match value.get_ref() {
            _ if known.contains(&path) => _ = out.insert(path),
            DeValue::Table(inner) => paths(inner, &format!("{path}."), known, out),
            DeValue::Array(inner) => {
                let tables = inner.iter().filter_map(|one| one.get_ref().as_table());
                tables.for_each(|table| paths(table, &format!("{path}[]."), known, out));
            }
            _ => _ = out.insert(path),
        }
    }
}
