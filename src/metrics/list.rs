//! The list of all metrics.

use super::Metric;

const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// For what may wait for an outage to end.
const SECONDS_LONG: &[f64] =
    &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21_600.0, 86_400.0];

const BYTES: &[f64] = &[
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    131_072.0,
    262_144.0,
    524_288.0,
    1_048_576.0,
    2_097_152.0,
    4_194_304.0,
    8_388_608.0,
    16_777_216.0,
];

macro_rules! metrics {
    ($($name:ident = $metric:expr;)*) => {
        $(#[doc = concat!("`", stringify!($name), "`: see its help.")] pub static $name: Metric = $metric;)*
        /// Every metric there is.
        pub static ALL: &[&Metric] = &[$(&$name),*];
    };
}

metrics! {
    TASK_INFO = Metric::gauge("logdrive_task_info", &["task", "topic", "revision"], "1 while the task runs; the revision is a hash of its settings, the same on all hosts where these are the same, and the version is.");
    BUILD_INFO = Metric::gauge("logdrive_build_info", &["version"], "1; the version is in the label.");
    ERRORS = Metric::counter("logdrive_errors_total", &["part", "kind"], "Errors by the part that met them and their kind.");

    // Configuration.
    CONFIG_RELOADS = Metric::counter("logdrive_config_reloads_total", &["outcome"], "How often the configuration was read again, by what came of it: applied, unchanged, refused.");
    CONFIG_RELOAD_SUCCESSFUL = Metric::gauge("logdrive_config_last_reload_successful", &[], "1 if the configuration was valid when it was last read, 0 if it was refused and an older one runs on.");

    // Tasks from etcd.
    ETCD_UP = Metric::gauge("logdrive_etcd_up", &[], "1 while changes of tasks are heard of etcd, 0 while it is away and the tasks that are known run on.");
    REMOTE_VALUES = Metric::counter("logdrive_remote_values_total", &["outcome"], "Values of keys of tasks, by what became of them: applied, refused.");
    REMOTE_KEYS_REFUSED = Metric::gauge("logdrive_remote_keys_refused", &[], "Keys of tasks whose newest value is refused, so that an older one runs on.");
    REMOTE_LEFT_OUT = Metric::gauge("logdrive_remote_tasks_left_out", &[], "Tasks of etcd that are not wanted: another one has the name, or the topic would be one too many.");

    // Reading.
    READ_BYTES = Metric::counter("logdrive_read_bytes_total", &["task"], "Bytes of whole lines read from files.");
    READ_LINES = Metric::counter("logdrive_read_lines_total", &["task"], "Lines read from files; each part of a cut line counts.");
    CUT_LINES = Metric::counter("logdrive_cut_lines_total", &["task", "reason"], "Parts sent of lines that were too_long, were too_large for the broker, or had no_newline in time.");
    UNREAD_BYTES = Metric::gauge("logdrive_unread_bytes", &["task"], "Bytes behind: the sum over files of size minus what is safe.");
    OLDEST_UNREAD_SECONDS = Metric::gauge("logdrive_oldest_unread_seconds", &["task"], "How long the oldest byte that was not read has been waiting, at least; 0 when all was read.");
    FILES = Metric::gauge("logdrive_files", &["task", "state"], "Files by state: open, idle, draining (renamed or deleted, and not read to the end), failed, waiting (for a descriptor).");
    ROTATIONS = Metric::counter("logdrive_file_events_total", &["task", "event"], "What happened to files: appeared, skipped, renamed, truncated, copied, reused, deleted, forgotten, damaged.");
    ABANDONED_BYTES = Metric::counter("logdrive_abandoned_bytes_total", &["task"], "Bytes that were there and will never be read.");
    SKIPPED_BYTES = Metric::counter("logdrive_skipped_bytes_total", &["task", "reason"], "Bytes of files never seen that were passed over, by the setting that says so: start_at, ignore_older.");
    IO_BACKEND = Metric::gauge("logdrive_io_backend_info", &["backend"], "1 for the I/O backend in use: uring or pread.");

    LANE_FILES = Metric::gauge("logdrive_lane_files", &["lane"], "Files that a lane has, open and idle.");
    LANE_READS = Metric::counter("logdrive_lane_reads_total", &["lane"], "Turns of files in a lane; in each a file is read for up to 256 KiB, or one line that is longer.");

    // The account of a task.
    ACKNOWLEDGED_LINES = Metric::counter("logdrive_acknowledged_lines_total", &["task"], "Lines that the sink acknowledged.");
    ACKNOWLEDGED_BYTES = Metric::counter("logdrive_acknowledged_bytes_total", &["task"], "Bytes of files that the sink acknowledged.");
    DEAD_LETTERED_LINES = Metric::counter("logdrive_dead_lettered_lines_total", &["task"], "Lines that Kafka refused for good, and that lie in the dead-letter topic instead.");
    GIVEN_UP_LINES = Metric::counter("logdrive_given_up_lines_total", &["task"], "Lines that were read and let go without having been sent; they are read again.");
    IN_FLIGHT_LINES = Metric::gauge("logdrive_in_flight_lines", &["task"], "Lines that were read and of which it is not known yet what became of them.");
    ACKNOWLEDGE_LATENCY_SECONDS = Metric::histogram("logdrive_acknowledge_latency_seconds", &["task"], SECONDS, "From reading the first line of a batch until the sink acknowledged all of it.");

    // In flight.
    IN_FLIGHT_BYTES = Metric::gauge("logdrive_in_flight_bytes", &[], "Bytes held by what was read and is not yet safe.");
    IN_FLIGHT_LIMIT_BYTES = Metric::gauge("logdrive_in_flight_limit_bytes", &[], "The limit of logdrive_in_flight_bytes.");
    BUDGET_WAIT_SECONDS = Metric::histogram("logdrive_budget_wait_seconds", &[], SECONDS, "How long reads waited for the budget, each that had to.");
    RATE_WAIT_SECONDS = Metric::histogram("logdrive_rate_wait_seconds", &["task"], SECONDS, "How long reading waited for a rate, each time; without a task, for agent.rate.");
    CHECKPOINT_AGE_SECONDS = Metric::gauge("logdrive_checkpoint_age_seconds", &[], "Time since the last checkpoint was saved or found up to date.");
    CHECKPOINT_COMMITS = Metric::counter("logdrive_checkpoint_commits_total", &["outcome"], "Checkpoint commits by outcome: saved, failed.");
    REBUILD_RECORDS = Metric::counter("logdrive_rebuild_records_total", &["topic"], "Kafka records read to make lost checkpoints good.");
    REBUILT_FILES = Metric::counter("logdrive_rebuild_files_total", &[], "Files whose lost checkpoints were found again in Kafka.");
    CHECKPOINT_SECONDS = Metric::histogram("logdrive_checkpoint_seconds", &[], SECONDS, "How long a checkpoint commit took.");

    // To Kafka.
    SENT_BATCHES = Metric::counter("logdrive_sent_batches_total", &["topic"], "Batches handed to Kafka, each a packed record or a set of single lines; one sent again counts again.").otel("messaging.client.sent.messages");
    SENT_BYTES = Metric::counter("logdrive_sent_bytes_total", &["topic"], "Bytes of record values handed to Kafka: of packed records compressed, of single lines not yet.");
    BATCH_SIZE_BYTES = Metric::histogram("logdrive_batch_size_bytes", &["topic"], BYTES, "Text of a batch, before compression.");
    ACKNOWLEDGED_BATCHES = Metric::counter("logdrive_acknowledged_batches_total", &["topic"], "Batches that all in-sync replicas acknowledged.");
    PRODUCE_SECONDS = Metric::histogram("logdrive_produce_seconds", &["topic"], SECONDS, "From handing a batch to Kafka until its acknowledgement.").otel("messaging.client.operation.duration");
    PRODUCE_RETRIES = Metric::counter("logdrive_produce_retries_total", &["topic", "kind"], "Batches that were handed over again after an error, by its kind.");

    KAFKA_REBUILDS = Metric::counter("logdrive_kafka_producer_rebuilds_total", &[], "How often the producer met a fatal error and was made anew.");

    // Both ways.
    KAFKA_QUEUE_RECORDS = Metric::gauge("logdrive_kafka_queue_records", &["client"], "Records in the producer's queue, and under way to the brokers.");
    KAFKA_QUEUE_BYTES = Metric::gauge("logdrive_kafka_queue_bytes", &["client"], "Bytes of the records in the producer's queue, and under way to the brokers.");
    KAFKA_BROKER_UP = Metric::gauge("logdrive_kafka_broker_up", &["client", "broker"], "1 while the client is connected to the broker; a client connects to those that it needs.");
    KAFKA_BROKER_REQUESTS = Metric::gauge("logdrive_kafka_broker_requests", &["client", "broker", "state"], "Requests that wait to be sent, and that are in flight.");
    KAFKA_BROKER_ROUND_TRIP_SECONDS = Metric::gauge("logdrive_kafka_broker_round_trip_seconds", &["client", "broker", "percentile"], "How long the broker took to answer, in the last 5 s.");
    KAFKA_BROKER_THROTTLE_SECONDS = Metric::gauge("logdrive_kafka_broker_throttle_seconds", &["client", "broker"], "The longest time that the broker made the client wait for its quota, in the last 5 s.");
    KAFKA_BROKER_RETRIES = Metric::counter("logdrive_kafka_broker_retries_total", &["client", "broker"], "Requests that were sent again to the broker.");
    KAFKA_BROKER_FAULTS = Metric::counter("logdrive_kafka_broker_faults_total", &["client", "broker", "kind"], "Requests and answers that failed, by kind: send, receive, timeout.");

    // From Kafka.
    CONSUMED_RECORDS = Metric::counter("logdrive_consumed_records_total", &["topic"], "Kafka records read.").otel("messaging.client.consumed.messages");
    CONSUMED_BYTES = Metric::counter("logdrive_consumed_bytes_total", &["topic"], "Bytes of Kafka record values read.");
    CONSUMER_LAG = Metric::gauge("logdrive_consumer_lag_records", &["topic", "partition"], "Records behind the end of the partition.");
    COMMITTED_OFFSET = Metric::gauge("logdrive_consumer_committed_offset", &["topic", "partition"], "The offset that was last committed.");
    REBALANCES = Metric::counter("logdrive_consumer_rebalances_total", &["kind"], "Partitions assigned and revoked, by event.");

    // Into the store.
    DOCUMENTS = Metric::counter("logdrive_documents_total", &["outcome"], "Documents by outcome: created, duplicate, retried, dead_lettered, skipped.");
    TAGGED_DOCUMENTS = Metric::counter("logdrive_tagged_documents_total", &["tag"], "Documents of lines that something was wrong with, by the tag that they carry.");
    REROUTED_DOCUMENTS = Metric::counter("logdrive_rerouted_documents_total", &["reason"], "Documents whose index name has `other` in the place of a field: no_field, or too_many different values.");
    BULK_SECONDS = Metric::histogram("logdrive_bulk_seconds", &[], SECONDS, "How long a bulk request or a commit took.");
    BULK_SIZE_BYTES = Metric::histogram("logdrive_bulk_size_bytes", &[], BYTES, "Body of a bulk request, before compression.");
    END_TO_END_SECONDS = Metric::histogram("logdrive_end_to_end_seconds", &["topic"], SECONDS_LONG, "From the time that a line says of itself until the store has it: the oldest line of each record in a bulk request; what is of the future counts as 0.");
    BULK_RESPONSES = Metric::counter("logdrive_bulk_responses_total", &["code"], "Bulk answers by HTTP status; 0 where there was none.");
    BULK_REQUESTS_LIMIT = Metric::gauge("logdrive_bulk_requests_limit", &[], "How many bulk requests may be under way now: fewer when the servers push back.");
    STOPPED_INDICES = Metric::gauge("logdrive_stopped_indices", &[], "Indices that take no documents now, for a reason of their own.");
    STOPPED_DOCUMENTS = Metric::gauge("logdrive_stopped_documents", &[], "Documents that are held for indices that take none now.");
    RETURNED_PARTITIONS = Metric::counter("logdrive_returned_partitions_total", &[], "Partitions that were paused, to be read again later, because too much was held for indices that take no documents.");
    BACKOFF_SECONDS = Metric::gauge("logdrive_backoff_seconds", &[], "How long the sink waits now before it tries again; 0 when it doesn't.");
    STORE_BYTES = Metric::gauge("logdrive_store_bytes", &[], "The size of the embedded store on disk, without what is deleted and will leave.");
    EXPIRED_DOCUMENTS = Metric::counter("logdrive_store_expired_documents_total", &[], "Documents that were deleted from the embedded store because it had outgrown its limit.");
    DEAD_LETTERS = Metric::counter("logdrive_dead_letters_total", &["reason"], "Documents and records put in the dead-letter topic, by reason.");

    // Answers.
    SEARCHES = Metric::counter("logdrive_searches_total", &["kind", "outcome"], "Questions asked of the store.");
    SEARCH_SECONDS = Metric::histogram("logdrive_search_seconds", &["kind"], SECONDS, "How long an answer took.");
}

/// What the kernel says of the process, in the order in which it is told.
pub static OF_PROCESS: [Metric; 7] = [
    Metric::counter("process_cpu_seconds_total", &[], "Processor time used, in user and system mode.")
        .otel("process.cpu.time"),
    Metric::gauge("process_resident_memory_bytes", &[], "Memory that is in RAM.").otel("process.memory.usage"),
    Metric::gauge("process_open_fds", &[], "Open file descriptors.").otel("process.unix.file_descriptor.count"),
    Metric::gauge("process_max_fds", &[], "The limit of open file descriptors."),
    Metric::gauge("process_start_time_seconds", &[], "When the process started, in seconds since 1970."),
    Metric::gauge("logdrive_time_seconds", &[], "What the host's clock shows, in seconds since 1970."),
    Metric::counter(
        "logdrive_thread_cpu_seconds_total",
        &["thread"],
        "Processor time of the threads that do most of the work, by their names.",
    )
    .otel("process.cpu.time"),
];

#[cfg(test)]
mod tests {
    use super::{super::Kind, ALL};
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_follow_the_conventions_of_prometheus() {
        let mut seen = HashSet::new();
        for metric in ALL {
            assert!(seen.insert(metric.name), "{} is listed twice", metric.name);
            assert!(metric.name.starts_with("logdrive_") && metric.help.ends_with('.'), "{}", metric.name);
            assert_eq!(matches!(metric.kind, Kind::Counter), metric.name.ends_with("_total"), "{}", metric.name);
        }
    }
}
