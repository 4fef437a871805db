//! Exact screens, as a terminal would show them.

use std::time::Instant;

use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    style::Color,
};

use super::{
    process::{Process, tests::answer},
    screen::{Screen, Surroundings},
    views::View,
};

const BEFORE: &str = "\
logdrive_read_lines_total{task=\"app\"} 1000
logdrive_read_bytes_total{task=\"app\"} 100000
logdrive_read_lines_total{task=\"nginx\"} 0
";

const NOW: &str = "\
logdrive_read_lines_total{task=\"app\"} 5000
logdrive_read_bytes_total{task=\"app\"} 506496
logdrive_unread_bytes{task=\"app\"} 0
logdrive_oldest_unread_seconds{task=\"app\"} 0
logdrive_read_lines_total{task=\"nginx\"} 20
logdrive_unread_bytes{task=\"nginx\"} 1073741824
logdrive_oldest_unread_seconds{task=\"nginx\"} 720
logdrive_in_flight_bytes 1048576
logdrive_in_flight_limit_bytes 33554432
process_cpu_seconds_total 1
process_resident_memory_bytes 41943040
";

fn process() -> Process {
    let (start, mut process) = (Instant::now(), Process::new("127.0.0.1:9717".to_owned(), None, None));
    process.took(Ok(answer(start, 0, BEFORE, &[("/var/log/app.log", 5000, 1000)])));
    process.took(Ok(answer(
        start,
        2,
        NOW,
        &[("/var/log/app.log", 5000, 5000), ("/var/log/nginx/access.log", 900, 10)],
    )));
    process
}

fn screen_of(
    screen: &mut Screen,
    processes: &[Process],
    width: u16,
    height: u16,
) -> (Vec<String>, Terminal<TestBackend>) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("memory takes it");
    terminal.draw(|frame| screen.draw(frame, &Surroundings { processes, trouble: None })).expect("memory takes it");
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    ((0..height).map(line).collect(), terminal)
}

fn press(screen: &mut Screen, keys: &str) -> bool {
    keys.chars().all(|c| {
        let code = match c {
            '\t' => KeyCode::Tab,
            '\n' => KeyCode::Enter,
            c => KeyCode::Char(c),
        };
        screen.press(KeyEvent::new(code, KeyModifiers::NONE))
    })
}

#[test]
fn the_tasks_are_shown_with_what_is_most_behind_first() {
    let mut screen = Screen::new(View::Tasks, false);
    let (lines, _) = screen_of(&mut screen, &[process()], 110, 7);
    assert_eq!(
        lines,
        [
            "127.0.0.1:9717  2.0k lines/s  in flight 1.0 MiB of 32 MiB  cpu 50%  memory 40 MiB  errors 0/s",
            "[tasks] files  kafka  store  processes",
            "TASK   PROCESS         LINES/S  BYTES/S   BEHIND  OLDEST  IN FLIGHT  ACK P99  FILES  DEAD",
            "nginx  127.0.0.1:9717       10        -  1.0 GiB  12 min          -        -      -     -",
            "app    127.0.0.1:9717     2.0k  198 KiB      0 B       0          -        -      -     -",
            "",
            "by BEHIND  2 rows  ? help  q quit",
        ]
    );
}

#[test]
fn forty_columns_are_enough_for_what_matters_and_any_size_is_drawn() {
    let mut screen = Screen::new(View::Tasks, false);
    let (lines, _) = screen_of(&mut screen, &[process()], 40, 6);
    assert_eq!(lines[2], "TASK   LINES/S  BYTES/S   BEHIND  OLDEST");
    assert_eq!(lines[3], "nginx       10        -  1.0 GiB  12 min");
    for (width, height) in [(1, 1), (3, 2), (10, 3), (40, 4), (500, 100)] {
        for view in View::ALL {
            screen_of(&mut Screen::new(view, true), &[process()], width, height);
        }
    }
}

#[test]
fn keys_sort_filter_turn_and_quit() {
    let (mut screen, processes) = (Screen::new(View::Tasks, false), [process()]);
    let first =
        |screen: &mut Screen| screen_of(screen, &processes, 100, 8).0[3].split_whitespace().next().map(str::to_owned);
    assert_eq!(first(&mut screen).as_deref(), Some("nginx"));
    press(&mut screen, "r");
    assert_eq!(first(&mut screen).as_deref(), Some("app"), "the other way round");
    press(&mut screen, "rssssssss");
    assert_eq!(screen_of(&mut screen, &processes, 100, 8).0[7], "by LINES/S  2 rows  ? help  q quit");
    press(&mut screen, "/NGI\n");
    let (lines, _) = screen_of(&mut screen, &processes, 100, 8);
    assert_eq!((lines[7].as_str(), lines[4].as_str()), ("by LINES/S  1 row  filter NGI  ? help  q quit", ""));
    screen.press(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE));
    press(&mut screen, "\t");
    let (lines, _) = screen_of(&mut screen, &processes, 100, 8);
    assert_eq!(lines[1], " tasks [files] kafka  store  processes");
    assert!(lines[3].starts_with("/var/log/nginx/access.log  app   idle"), "{lines:?}");
    assert!(lines[4].contains(" 2.0 KiB "), "the rate of a file: {lines:?}");
    press(&mut screen, "p?");
    let (lines, _) = screen_of(&mut screen, &processes, 100, 20);
    assert!(lines[3].starts_with("tab, shift-tab") && lines[19].starts_with("PAUSED"), "{lines:?}");
    assert!(press(&mut screen, "xjjjjjjjk"), "a key ends the help, and it is moved no further than there are rows");
    screen_of(&mut screen, &processes, 100, 20);
    assert!(!press(&mut screen, "q"));
    assert!(!screen.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
}

#[test]
fn a_process_that_is_away_is_said_to_be_and_colours_come_only_where_they_are_wanted() {
    let mut away = Process::new("127.0.0.1:9717".to_owned(), Some("http://127.0.0.1:9717".to_owned()), None);
    away.took(Err("nobody listens at http://127.0.0.1:9717/metrics".to_owned()));
    let processes = [away];
    let mut screen = Screen::new(View::Processes, true);
    let (lines, terminal) = screen_of(&mut screen, &processes, 100, 6);
    assert_eq!(lines[0], "logdrive top  nobody listens at http://127.0.0.1:9717/metrics");
    assert!(lines[3].starts_with("127.0.0.1:9717") && lines[3].contains("away"), "{lines:?}");
    assert_eq!(terminal.backend().buffer()[(0, 0)].fg, Color::Red);
    let (_, plain) = screen_of(&mut Screen::new(View::Processes, false), &processes, 100, 6);
    assert!(plain.backend().buffer().content().iter().all(|cell| cell.fg == Color::Reset));
}
