//! `logdrive test`: sample lines go the way of lines, and what comes of them is compared with what was expected.

use std::process::Output;

use crate::rig::Site;

const TASK: &str = r#"
[[agent.tasks]]
name = "app"
paths = ["/var/log/app/*.log"]
exclude = ["debug.log"]
labels = { service = "api" }
topic = "app-{service}"
key = "{service}/{file}"
encoding = "lines"
multiline = { start = '^\d{4}-' }
[[agent.tasks]]
name = "old"
paths = ["/var/log/old/*"]
topic = "old"
charset = "utf-16le"
"#;

#[tokio::test]
async fn samples_become_what_they_would_become_and_a_difference_is_shown() {
    let site = site("samples");
    let wide: Vec<u8> = "größer\nkleiner".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(site.dir.join("wide.log"), wide).expect("the site can be written");
    let right = r#"
[[tests]]
name = "a stack trace is one message"
task = "app"
path = "/var/log/app/a.log"
input = '''
2026-11-20 10:00:00 ERROR failed
java.lang.IllegalStateException: no
    at App.main(App.java:3)
2026-11-20T10:00:01.250Z INFO on it goes
'''
[tests.expect]
messages = [
  "2026-11-20 10:00:00 ERROR failed\njava.lang.IllegalStateException: no\n    at App.main(App.java:3)",
  "2026-11-20T10:00:01.250Z INFO on it goes",
]
documents = [
  { "log.level" = "error", log.file.path = "/var/log/app/a.log" },
  { "@timestamp" = "2026-11-20T10:00:01.250Z", labels = { service = "api" } },
]
topic = "app-api"
key = "api/{file}"
[[tests]]
name = "another charset"
task = "old"
input_file = "wide.log"
expect = { messages = ["größer", "kleiner"] }
"#;
    let (output, said) = run(&site, right);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.ends_with("2 passed, 0 failed\n") && !said.contains('\u{1b}'), "{said}");
    assert!(
        said.contains("task app reads /var/log/app/a.log and sends 2 messages to app-api, key api/{file}\n"),
        "{said}"
    );

    let (output, said) = run(&site, &right.replace("\"größer\"", "\"grösser\"").replace("a.log", "debug.log"));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("  messages[0]\n    - expected: \"grösser\"\n    + got: \"größer\"\n"), "{said}");
    assert!(said.contains("the task \"app\" does not read /var/log/app/debug.log"), "{said}");
    assert!(said.ends_with("0 passed, 2 failed\n"), "{said}");

    let (output, said) = run(&site, &right.replace("messages", "mesages"));
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("logdrive.tests.toml:13:1: ") && said.contains("did you mean \"messages\"?"), "{said}");
}

/// A site with the tasks that are tested, beside its own.
fn site(name: &str) -> Site {
    let site = Site::without_topics(name, "127.0.0.1:1", "http://127.0.0.1:1");
    std::fs::create_dir_all(site.dir.join("conf.d")).expect("the site can be written");
    std::fs::write(site.dir.join("conf.d/tasks.toml"), TASK).expect("the site can be written");
    site
}

/// `logdrive test` with these tests.
fn run(site: &Site, tests: &str) -> (Output, String) {
    std::fs::write(site.dir.join("logdrive.tests.toml"), tests).expect("the site can be written");
    let output = site.command("test").output().expect("the program was built");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output, String::from_utf8_lossy(&said).into_owned())
}
