"""What all programs have: a process, a client of Kafka, a log."""

from panels import ORANGE, RED, YELLOW, curves, number, query, row, steps


def process():
    return row(
        "Process",
        curves("Processor", "Cores that the process keeps busy.", "short",
               query("rate(process_cpu_seconds_total{instance}[rate])", "{{instance}}")),
        curves("Memory", "Memory of the process that is in RAM.", "bytes", query("process_resident_memory_bytes{instance}", "{{instance}}")),
        curves("Descriptors in use", "Open file descriptors, as a share of the limit. At 100 % no file can be opened.", "percentunit",
               query("process_open_fds{instance} / process_max_fds{instance}", "{{instance}}"), levels=steps((0.8, ORANGE), (0.9, RED))),
        curves("Clock", "How far the host's clock is from that of Prometheus. Beyond a few seconds, times of lines and latencies are wrong.", "s",
               query("abs(logdrive_time_seconds{instance} - timestamp(logdrive_time_seconds{instance}))", "{{instance}}"),
               levels=steps((2, YELLOW), (30, RED))),
    )


def kafka_client():
    return row(
        "Kafka",
        curves("Brokers connected", "Brokers that the client is connected to. A client connects to those that it needs; none means that Kafka is away.",
               "short", query("sum by (instance, client) (logdrive_kafka_broker_up{instance})", "{{instance}} {{client}}")),
        curves("Round trip", "How long brokers took to answer: the 99th of 100 requests, in the last 5 s.", "s",
               query('max by (broker, client) (logdrive_kafka_broker_round_trip_seconds{instance, percentile="99"})', "{{broker}} {{client}}")),
        curves("Throttled", "How long brokers made clients wait for their quota.", "s",
               query("max by (broker, client) (logdrive_kafka_broker_throttle_seconds{instance})", "{{broker}} {{client}}"),
               levels=steps((1, ORANGE))),
        curves("Requests", "Requests that wait to be sent, and that brokers have not answered.", "short",
               query("sum by (state, client) (logdrive_kafka_broker_requests{instance})", "{{client}} {{state}}")),
        curves("Requests that failed", "By kind: what could not be sent or read, and what was not answered in time; and requests that were sent again.",
               "short",
               [query("sum by (kind) (increase(logdrive_kafka_broker_faults_total{instance}[rate]))", "{{kind}}"),
                query("sum(increase(logdrive_kafka_broker_retries_total{instance}[rate]))", "sent again")]),
        curves("Queue of the client", "Bytes that the client holds for brokers, and the records of it.", "bytes",
               query("sum by (instance, client) (logdrive_kafka_queue_bytes{instance})", "{{instance}} {{client}}"), width=4),
        number("Records in the queue", "Records that the client holds for brokers.", "short",
               query("sum(logdrive_kafka_queue_records{instance})"), width=4, height=8),
    )
