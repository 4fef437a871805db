//! Messages of several lines on the whole road: each is one document, whatever becomes of the agent and the files.

use std::{collections::BTreeMap, fs, io::Write, path::PathBuf, time::Duration};

use crate::rig::{Dice, Site, index, number};

/// A log whose messages have several lines.
struct Log {
    path: PathBuf,
    /// Each message as it is written, and as it is to be found.
    messages: Vec<(Vec<u8>, String)>,
}

#[tokio::test]
async fn messages_of_several_lines_are_one_document_each_though_the_agent_is_killed_and_the_files_are_renamed() {
    let (mut dice, kills) = (Dice::thrown(), number("IT_KILLS", 20) / 2);
    let mut site = Site::new("messages").await;
    let task = |name: &str, more: &str| -> toml::Value {
        let (paths, topic) = (site.logs().join(format!("{name}.log*")), &site.topic);
        let text = format!("name = '{name}'\npaths = ['{}']\ntopic = '{topic}'\n{more}", paths.display());
        text.parse::<toml::Table>().expect("a task").into()
    };
    // Halves of a message are further apart than an agent that is killed and started again may take.
    let tasks = vec![
        task("java", "multiline = { preset = ['java'], timeout = '10s' }"),
        task("chinese", "charset = 'gb18030'\nmultiline = { start = '^\\d{4}-', timeout = '10s' }"),
        task("container", "multiline = { preset = ['cri', 'java'], timeout = '10s' }"),
    ];
    site.set("agent.tasks", tasks);
    let logs = [java, chinese, container].map(|make| make(&site));
    let mut transfer = site.transfer();
    let agent = async {
        let mut dice = Dice::thrown();
        for _ in 0..kills {
            let agent = site.agent();
            tokio::time::sleep(Duration::from_millis(dice.within(200..1200))).await;
            agent.kill();
        }
        site.agent()
    };
    let ((), mut agent) = futures::join!(write(&logs, Duration::from_millis(700 * kills), &mut dice), agent);
    agent.ready().await;
    transfer.ready().await;
    let wanted: usize = logs.iter().map(|log| log.messages.len()).sum();
    index::wait_for(&site.elasticsearch, &site.indices(), wanted).await;
    agent.stop_well().await;
    transfer.stop_well().await;

    let (mut found, mut expected) = (BTreeMap::<String, usize>::new(), BTreeMap::new());
    for document in index::documents(&site.elasticsearch, &site.indices()).await {
        *found.entry(document.text("message").to_owned()).or_default() += 1;
    }
    for (_, message) in logs.iter().flat_map(|log| &log.messages) {
        *expected.entry(message.clone()).or_default() += 1;
    }
    assert!(found == expected, "{:?}", difference(&found, &expected));
}

/// Messages that are there more or less often than they should be; the first few.
fn difference<'a>(
    found: &'a BTreeMap<String, usize>,
    expected: &'a BTreeMap<String, usize>,
) -> Vec<(&'a str, usize, usize)> {
    let all = found.keys().chain(expected.keys().filter(|message| !found.contains_key(*message)));
    let counts = all.map(|message| {
        let count = |side: &BTreeMap<String, usize>| side.get(message).copied().unwrap_or(0);
        (message.as_str(), count(found), count(expected))
    });
    counts.filter(|(_, found, expected)| found != expected).take(5).collect()
}

/// Writes the messages of all logs, some of them in two halves, and renames each log twice.
async fn write(logs: &[Log], time: Duration, dice: &mut Dice) {
    let count = logs[0].messages.len();
    for number in 0..count {
        for log in logs {
            if number == count / 3 || number == count * 2 / 3 {
                let name = format!("{}.{number}", log.path.display());
                fs::rename(&log.path, name).expect("the site can be written");
            }
            let mut file =
                fs::File::options().create(true).append(true).open(&log.path).expect("the site can be written");
            let (first, second) = log.messages[number].0.split_at(match dice.within(0..4) {
                0 => dice.within(0..log.messages[number].0.len() as u64) as usize,
                _ => 0,
            });
            file.write_all(first).expect("the site can be written");
            if !first.is_empty() {
                tokio::time::sleep(Duration::from_millis(dice.within(0..100))).await;
            }
            file.write_all(second).expect("the site can be written");
        }
        tokio::time::sleep(time / count as u32 / 2).await;
    }
}

/// How many messages a log has.
const MESSAGES: usize = 300;

fn java(site: &Site) -> Log {
    let message = |number: usize| match number % 3 {
        0 => format!("2026-11-20 10:00:00,{number:03} INFO request {number} is done"),
        _ => format!(
            "java.lang.IllegalStateException: no order {number}\n\tat com.example.Orders.find(Orders.java:{number})\n\
             \tat com.example.Main.main(Main.java:7)\nCaused by: java.io.IOException: connection {number} reset\n\t... 2 more"
        ),
    };
    let messages = (0..MESSAGES).map(message).map(|text| (format!("{text}\n").into_bytes(), text));
    Log { path: site.logs().join("java.log"), messages: messages.collect() }
}

fn chinese(site: &Site) -> Log {
    let message = |number: usize| format!("2026-11-20 订单 {number}\r\n  数据库连接失败\r\n  稍后重试 {number}");
    let written = |text: &str| {
        let (text, mut bytes) = (format!("{text}\r\n"), vec![0; 1000]);
        let (.., written) =
            encoding_rs::GB18030.new_encoder().encode_from_utf8_without_replacement(&text, &mut bytes, true);
        bytes[..written].to_vec()
    };
    let messages = (0..MESSAGES).map(message).map(|text| (written(&text), text.replace("\r\n", "\n")));
    Log { path: site.logs().join("chinese.log"), messages: messages.collect() }
}

fn container(site: &Site) -> Log {
    let line = |flag: &str, text: &str| format!("2026-11-20T10:00:00.000000000Z stdout {flag} {text}\n");
    let message = |number: usize| match number % 2 {
        0 => {
            let (first, second) = ("a".repeat(300), format!(" and the rest of {number}"));
            (line("P", &first) + &line("F", &second), first + &second)
        }
        _ => {
            let lines =
                [format!("java.lang.Error: {number}"), format!("\tat com.example.Main.main(Main.java:{number})")];
            (lines.iter().map(|text| line("F", text)).collect(), lines.join("\n"))
        }
    };
    let messages = (0..MESSAGES).map(message).map(|(written, found): (String, String)| (written.into_bytes(), found));
    Log { path: site.logs().join("container.log"), messages: messages.collect() }
}
