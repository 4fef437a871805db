//! The program under test, as a process: started, watched from outside, stopped or killed.

use std::{
    fs::OpenOptions,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Site, ports, services::Paused, until};

const LIMIT: Duration = Duration::from_secs(90);

/// A running `logdrive`; killed when it is dropped.
pub struct Program {
    child: Child,
    /// What it prints, of all its lives at this site.
    output: PathBuf,
    /// Where it serves `/metrics`, `/livez` and `/readyz`.
    pub metrics: SocketAddr,
    /// Where it serves the page, if it does.
    pub web: SocketAddr,
}

impl Program {
    /// Starts it; it need not be ready yet.
    pub fn start(site: &Site, subcommand: &str, arguments: &[&str]) -> Self {
        let mut command = site.command(subcommand);
        command.args(arguments);
        Self::spawn(site, subcommand, command)
    }

    /// Starts it with one more setting, given by the environment, if there is a value for it.
    pub fn start_with(site: &Site, subcommand: &str, variable: &str, value: Option<&str>) -> Self {
        let mut command = site.command(subcommand);
        if let Some(value) = value {
            command.env(variable, value);
        }
        Self::spawn(site, subcommand, command)
    }

    /// Starts it so that file modes hold for it, even if the tester is root.
    pub fn without_superpowers(site: &Site, subcommand: &str) -> Self {
        let plain = site.command(subcommand);
        let mut command = Command::new("setpriv");
        command.arg("--bounding-set=-dac_override,-dac_read_search").arg(plain.get_program()).args(plain.get_args());
        command.current_dir(&site.dir);
        Self::spawn(site, subcommand, command)
    }

    fn spawn(site: &Site, subcommand: &str, mut command: Command) -> Self {
        let [metrics, web] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], ports::free())));
        let output = site.dir.join(format!("{subcommand}.log"));
        // With `IT_LOG`, the programs tell more, in the words of `LOGDRIVE_LOG`.
        if let Some(directives) = std::env::var_os("IT_LOG") {
            command.env("LOGDRIVE_LOG", directives);
        }
        let file = || OpenOptions::new().create(true).append(true).open(&output).expect("the site can be written");
        let child = command
            .env("LOGDRIVE_METRICS__LISTEN", metrics.to_string())
            .env("LOGDRIVE_WEB__LISTEN", web.to_string())
            .stdin(Stdio::null())
            .stdout(file())
            .stderr(file())
            .spawn()
            .expect("the program was built");
        Self { child, output, metrics, web }
    }

    /// Waits until it says of itself that it is ready.
    pub async fn ready(&mut self) {
        self.answering("/readyz").await;
    }

    /// Waits until it can be asked, ready or not.
    pub async fn alive(&mut self) {
        self.answering("/livez").await;
    }

    async fn answering(&mut self, path: &str) {
        until(path, LIMIT, async || {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                panic!("it ended with {status}:\n{}", self.output());
            }
            self.answers(path).await
        })
        .await;
    }

    /// Whether a GET at its metrics address is answered with 200.
    pub async fn answers(&self, path: &str) -> bool {
        reqwest::get(format!("http://{}{path}", self.metrics)).await.is_ok_and(|answer| answer.status().is_success())
    }

    /// The status and the body of a GET at its metrics address.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.metrics)).await.expect("it answers");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }

    /// A metric's value: the sum over those of its series that have all the labels given; 0 if there is none.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (_, text) = self.get("/metrics").await;
        text.lines().filter_map(|line| sample(line, name, labels)).sum()
    }

    /// How many lines nobody answers for, at one moment: what was read of all tasks, without what became of it and what is
    /// in flight.
    pub async fn missing_lines(&self) -> f64 {
        let (_, text) = self.get("/metrics").await;
        let sum = |name: &str| text.lines().filter_map(|line| sample(line, name, &[])).sum::<f64>();
        let known =
            ["acknowledged_lines_total", "dead_lettered_lines_total", "given_up_lines_total", "in_flight_lines"];
        sum("logdrive_read_lines_total") - known.map(|name| sum(&format!("logdrive_{name}"))).iter().sum::<f64>()
    }

    /// Everything that it printed, in all its lives at this site.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it held at any moment of this life, in bytes.
    pub fn peak_memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Lets it do nothing at all, until what is returned is dropped.
    pub fn pause(&self) -> Paused {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP).expect("it runs");
        Paused(pid)
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// Asks it to end by SIGTERM, and does not wait.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
    }

    /// Asks it to end by SIGTERM, and waits until it has.
    pub async fn stop(mut self) -> ExitStatus {
        self.terminate();
        self.ended().await
    }

    /// As [`Program::stop`]; the test fails unless it ends with exit code 0.
    pub async fn stop_well(mut self) {
        // A signal ends a process that has only just begun and doesn't listen for any yet.
        self.alive().await;
        let output = self.output.clone();
        let status = self.stop().await;
        let said = || String::from_utf8_lossy(&std::fs::read(&output).unwrap_or_default()).into_owned();
        assert!(status.success(), "it ended with {status}:\n{}", said());
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("ended", LIMIT, async || {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        })
        .await;
        status.expect("it was just seen")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = self.output();
            let from = output.char_indices().rev().nth(4000).map_or(0, |(at, _)| at);
            eprintln!("{} ends with:\n{}", self.output.display(), &output[from..]);
        }
        // Both fail only if it was waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value in a line of Prometheus' text format, if it is of the metric and has the labels.
fn sample(line: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let (series, value) = rest.rsplit_once(' ')?;
    if !(series.is_empty() || series.starts_with('{')) {
        return None;
    }
    let has = |(key, value): &(&str, &str)| series.contains(&format!("{key}=\"{value}\""));
    labels.iter().all(has).then(|| value.parse().expect("a number"))
}
