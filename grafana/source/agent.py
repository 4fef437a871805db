"""One agent, or some: what it reads, what it holds, how Kafka answers, what is safe."""

from panels import ORANGE, RED, YELLOW, at_once, bars, board, curves, heat, number, quantiles, query, risen, row, steps, variable
from fleet import ANY, BEHIND, UNACCOUNTED
from process import kafka_client, process

AT_A_GLANCE = row(
    "At a glance",
    number("Lines a second", "Lines read from files.", "short", query("sum(rate(logdrive_read_lines_total{task}[rate]))")),
    number("Bytes a second", "Bytes of lines read from files.", "binBps", query("sum(rate(logdrive_read_bytes_total{task}[rate]))")),
    number("Behind", "Bytes in files that are not safe in Kafka yet.", "bytes", query("sum(logdrive_unread_bytes{task})")),
    number("Oldest unread", "How long the oldest byte that was not read has been waiting.", "s",
           query("max(logdrive_oldest_unread_seconds{task})"), levels=BEHIND),
    number("Budget in use", "What was read and is not safe yet, as a share of the limit. At 100 % reading waits for Kafka.", "percentunit",
           query("max(logdrive_in_flight_bytes{instance} / logdrive_in_flight_limit_bytes{instance})"), levels=steps((0.8, YELLOW), (0.95, ORANGE))),
    number("Last checkpoint", "Time since the last checkpoint was saved or found up to date; all since then is sent again after a crash.", "s",
           query("max(logdrive_checkpoint_age_seconds{instance})"), levels=steps((10, YELLOW), (60, RED))),
)

READING = row(
    "Reading",
    curves("Lines by task", "Lines read a second; each part of a cut line counts.", "short",
           query("sum by (task) (rate(logdrive_read_lines_total{task}[rate]))", "{{task}}"), stacked=True),
    curves("Bytes by task", "Bytes read a second.", "binBps", query("sum by (task) (rate(logdrive_read_bytes_total{task}[rate]))", "{{task}}"),
           stacked=True),
    curves("Behind, by task", "Bytes that are not safe in Kafka yet.", "bytes", query("sum by (task) (logdrive_unread_bytes{task})", "{{task}}"),
           stacked=True),
    curves("Files by state", "Files that are open, idle, draining (renamed or deleted, and not read to the end), failed, or waiting for a descriptor.",
           "short", query("sum by (state) (logdrive_files{task})", "{{state}}")),
    curves("What happened to files", "Files that appeared, were renamed, truncated, deleted and so on.", "short",
           query("sum by (event) (increase(logdrive_file_events_total{task}[rate]))", "{{event}}"), stacked=True),
    curves("Lines that were cut", "Parts of lines that were too long, too large for the broker, or had no newline in time.", "short",
           query("sum by (reason) (increase(logdrive_cut_lines_total{task}[rate]))", "{{reason}}"), stacked=True),
    curves("Bytes passed over", "Bytes that will not be read: by a setting, or gone before they were read.", "bytes",
           [query("sum by (reason) (increase(logdrive_skipped_bytes_total{task}[rate]))", "{{reason}}"),
            query("sum(increase(logdrive_abandoned_bytes_total{task}[rate]))", "gone")], stacked=True),
    curves("Waiting for a rate", "How long reading waited for the rate that is set, in seconds a second.", "s",
           query("sum by (task) (rate(logdrive_rate_wait_seconds_sum{task}[rate]))", "{{task}}")),
)

LANES = row(
    "Lanes",
    curves("Files by lane", "Files that each thread of the reader looks after.", "short",
           query("sum by (instance, lane) (logdrive_lane_files{instance})", "{{instance}} {{lane}}"), width=6),
    curves("Reads by lane", "Reads from files a second.", "short",
           query("sum by (instance, lane) (rate(logdrive_lane_reads_total{instance}[rate]))", "{{instance}} {{lane}}"), width=6),
    curves("Processor by thread", "Cores that threads keep busy: lanes read, `rdk:` sends to brokers. A lane can't have more than one.", "short",
           query("sum by (thread) (rate(logdrive_thread_cpu_seconds_total{instance}[rate]))", "{{thread}}"), width=6),
    bars("I/O backend", "Agents by how they read: by io_uring, or by pread where the kernel or the container forbids that.", "short",
         at_once("count by (backend) (logdrive_io_backend_info{instance})", "{{backend}}"), width=6),
)

BATCHES = row(
    "Batches",
    heat("Size of batches", "Text of each batch, before compression.", "bytes", "logdrive_batch_size_bytes_bucket{topic}"),
    curves("Batches", "Batches handed to Kafka a second, and those that all in-sync replicas acknowledged.", "short",
           [query("sum by (topic) (rate(logdrive_sent_batches_total{topic}[rate]))", "{{topic}} sent"),
            query("sum by (topic) (rate(logdrive_acknowledged_batches_total{topic}[rate]))", "{{topic}} acknowledged")]),
    curves("Bytes sent", "Bytes of record values handed to Kafka: of packed records compressed, of single lines not yet.", "binBps",
           query("sum by (topic) (rate(logdrive_sent_bytes_total{topic}[rate]))", "{{topic}}"), stacked=True),
    curves("Compression", "How many bytes of text become one byte of a record. Single lines are compressed later, and count 1.", "none",
           query("""sum by (topic) (rate(logdrive_batch_size_bytes_sum{topic}[rate]))
                    / (sum by (topic) (rate(logdrive_sent_bytes_total{topic}[rate])) > 0)""", "{{topic}}"), decimals=1),
    curves("Budget", "Bytes that were read and are not safe yet, and their limit.", "bytes",
           [query("sum by (instance) (logdrive_in_flight_bytes{instance})", "{{instance}}"),
            query("sum by (instance) (logdrive_in_flight_limit_bytes{instance})", "{{instance}} limit")]),
    curves("Waiting for the budget", "How long reads waited for the budget, each that had to: the sum, in seconds a second.", "s",
           query("sum by (instance) (rate(logdrive_budget_wait_seconds_sum{instance}[rate]))", "{{instance}}")),
)

PRODUCING = row(
    "To Kafka",
    heat("Acknowledgement by Kafka", "From handing a batch to Kafka until all in-sync replicas have it.", "s", "logdrive_produce_seconds_bucket{topic}"),
    curves("Acknowledgement by Kafka, by topic", "Half of the batches, and 99 of 100, are acknowledged in less.", "s",
           quantiles("logdrive_produce_seconds_bucket{topic}", "topic"), levels=steps((5, ORANGE))),
    curves("Sent again", "Batches that were handed over again after an error, by its kind, and producers that were made anew.", "short",
           [query(risen("logdrive_produce_retries_total{topic}", "kind"), "{{kind}}"),
            query("sum(increase(logdrive_kafka_producer_rebuilds_total{instance}[rate]))", "producer made anew")], stacked=True),
)

SAFE = row(
    "Safe",
    heat("From read to acknowledged", "How long a line was in the agent.", "s", "logdrive_acknowledge_latency_seconds_bucket{task}"),
    curves("From read to acknowledged, by task", "Half of the lines, and 99 of 100, are safe in less.", "s",
           quantiles("logdrive_acknowledge_latency_seconds_bucket{task}", "task")),
    curves("Lines by what became of them", "Acknowledged by Kafka, made dead letters, or given up because their task ended, to be read again.", "short",
           [query("sum(rate(logdrive_acknowledged_lines_total{task}[rate]))", "acknowledged"),
            query("sum(rate(logdrive_dead_lettered_lines_total{task}[rate]))", "dead-lettered"),
            query("sum(rate(logdrive_given_up_lines_total{task}[rate]))", "given up")], stacked=True),
    curves("Lines in flight", "Lines that were read and have no answer yet.", "short",
           query("sum by (task) (logdrive_in_flight_lines{task})", "{{task}}"), stacked=True),
    curves("Lines unaccounted for", "Lines read, less all that became of them. Anything but 0 is a fault of the program.", "short",
           query(UNACCOUNTED, "{{instance}} {{task}}"), levels=ANY),
    curves("Bytes acknowledged", "Bytes of files that are safe in Kafka.", "binBps",
           query("sum by (task) (rate(logdrive_acknowledged_bytes_total{task}[rate]))", "{{task}}"), stacked=True),
    curves("Checkpoints", "Commits of checkpoints, by outcome.", "short",
           query("sum by (outcome) (increase(logdrive_checkpoint_commits_total{instance}[rate]))", "{{outcome}}")),
    curves("Time of a checkpoint", "How long a commit took.", "s", quantiles("logdrive_checkpoint_seconds_bucket{instance}")),
    curves("Checkpoints found again", "Records of Kafka that were read, and files that were found in them, after checkpoints were lost.", "short",
           [query("sum(increase(logdrive_rebuild_records_total{instance}[rate]))", "records"),
            query("sum(increase(logdrive_rebuild_files_total{instance}[rate]))", "files")]),
)

BOARD = board(
    "logdrive-agent", "logdrive / Agent", "One agent, or some: what it reads, what it holds, how Kafka answers, what is safe.",
    [variable("job", "Job", "logdrive_io_backend_info"), variable("instance", "Instance", "logdrive_io_backend_info{job}"),
     variable("task", "Task", "logdrive_task_info{instance}"), variable("topic", "Topic", "logdrive_task_info{instance}")],
    AT_A_GLANCE, READING, LANES, BATCHES, PRODUCING, SAFE, kafka_client(), process())
