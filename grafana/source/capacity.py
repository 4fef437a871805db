"""How it grows, for how long there is room, and what it costs."""

from panels import ORANGE, RED, YELLOW, board, column, curves, number, price, query, row, steps, table, variable, window

DAY = 24 * 3600
TEN_YEARS = 3650
READ = "sum(rate(logdrive_read_bytes_total{task}[$window]))"
# Bytes, by the second, of the agents' files and of what is consumed; 1e9 of them are a GB.
READ_BY = "sum by (instance) (rate(logdrive_read_bytes_total{instance}[$window]))"
CONSUMED_BY = "sum by (instance) (rate(logdrive_consumed_bytes_total{instance}[$window]))"
CPU = "rate(process_cpu_seconds_total{instance}[$window])"
AGENT_CPU_PER_GB = f"sum({CPU} and on (instance) ({READ_BY} > 0)) / (sum({READ_BY}) > 0) * 1e9"
TRANSFER_CPU_PER_GB = f"sum({CPU} and on (instance) ({CONSUMED_BY} > 0)) / (sum({READ_BY}) > 0) * 1e9"
SENT_SHARE = "sum(rate(logdrive_sent_bytes_total{instance}[$window])) / (sum(rate(logdrive_batch_size_bytes_sum{instance}[$window])) > 0)"
CPU_COST = f"({AGENT_CPU_PER_GB} + ({TRANSFER_CPU_PER_GB} or vector(0))) / 3600 * $cpu_hour"
KAFKA_COST = f"{SENT_SHARE} * $copies * $days / 30 * $gb_month"
NEED = "node_filesystem_avail_bytes{instance, fstype!~\"tmpfs|ramfs|overlay|squashfs\"}"
DAYS_LEFT = f"clamp_max({NEED} / clamp_min(-deriv({NEED}[$window]), 1) / {DAY}, {TEN_YEARS})"

GROWTH = row(
    "Growth",
    number("Bytes a day", "Bytes of lines that are read in a day, at the rate of the window.", "bytes", query(f"{READ} * {DAY}")),
    number("Lines a day", "Lines that are read in a day, at the rate of the window.", "short",
           query(f"sum(rate(logdrive_read_lines_total{{task}}[$window])) * {DAY}")),
    number("To Kafka in a day", "Bytes of records that are sent in a day, at the rate of the window.", "bytes",
           query(f"sum(rate(logdrive_sent_bytes_total{{instance}}[$window])) * {DAY}")),
    number("Documents a day", "Documents that are created in a day, at the rate of the window.", "short",
           query(f'sum(rate(logdrive_documents_total{{instance, outcome="created"}}[$window])) * {DAY}')),
    number("A line", "Bytes of a line, on average.", "bytes", query(f"{READ} / sum(rate(logdrive_read_lines_total{{task}}[$window]))"), decimals=0),
    number("Compression", "How many bytes of text become one byte in Kafka.", "none", query(f"1 / ({SENT_SHARE} > 0)"), decimals=1),
    curves("Bytes a day, by task", "Bytes that each task reads in a day, at the rate of the window.", "bytes",
           query(f"sum by (task) (rate(logdrive_read_bytes_total{{task}}[$window])) * {DAY}", "{{task}}"), stacked=True),
    curves("Lines a day, by task", "Lines that each task reads in a day, at the rate of the window.", "short",
           query(f"sum by (task) (rate(logdrive_read_lines_total{{task}}[$window])) * {DAY}", "{{task}}"), stacked=True),
    table("Tasks", "What each task reads in a day, and for how much of all it stands.", {"task": "Task"},
          column("Bytes a day", "bytes", f"sum by (task) (rate(logdrive_read_bytes_total{{task}}[$window])) * {DAY}"),
          column("Lines a day", "short", f"sum by (task) (rate(logdrive_read_lines_total{{task}}[$window])) * {DAY}"),
          column("Share", "percentunit",
                 f"sum by (task) (rate(logdrive_read_bytes_total{{task}}[$window])) / scalar({READ} > 0)"),
          width=8, height=8, sort="Bytes a day"),
)

ROOM = row(
    "Room",
    number("Days until a disk is full", "Until the first file system is full, at the rate of the window; ten years at most.", "d",
           query(f"min({DAYS_LEFT})"), levels={"mode": "absolute", "steps": [{"value": None, "color": RED}, {"value": 7, "color": ORANGE},
                                                                            {"value": 30, "color": "green"}]}, height=8),
    curves("Days until full, by file system", "At the rate of the window, of the ten with fewest; ten years at most.", "d",
           query(f"bottomk(10, {DAYS_LEFT})", "{{instance}} {{mountpoint}}"), width=8),
    curves("Size of embedded stores", "Bytes on disk, and what they will be in a day at the rate of the window.", "bytes",
           [query("sum(logdrive_store_bytes{instance})", "now"),
            query(f"clamp_min(sum(predict_linear(logdrive_store_bytes{{instance}}[$window], {DAY})), 0)", "in a day")], width=6),
    curves("Headroom", "What is left of limits, of the instance that has least: budget, descriptors.", "percentunit",
           [query("clamp_min(min(1 - logdrive_in_flight_bytes{instance} / logdrive_in_flight_limit_bytes{instance}), 0)", "budget"),
            query("min(1 - process_open_fds{instance} / process_max_fds{instance})", "descriptors")], width=6),
    curves("What is left behind in a day", "By how many bytes agents fall behind, at the rate of the window. More than 0 for long: Kafka is too slow, "
           "or the agent has too little of the processor.", "bytes",
           query(f"clamp_min(sum(deriv(logdrive_unread_bytes{{task}}[$window])), 0) * {DAY}", "unread"), width=12),
    curves("Lag gained in a day", "By how many records transfers fall behind, at the rate of the window.", "short",
           query(f"clamp_min(sum by (topic) (deriv(logdrive_consumer_lag_records{{instance}}[$window])), 0) * {DAY}", "{{topic}}"), width=12),
)

COST = row(
    "Cost",
    number("Agents, CPU for a GB", "Seconds of processor that agents take for a GB of text.", "s", query(AGENT_CPU_PER_GB), decimals=2, width=4, height=8),
    number("Transfers, CPU for a GB", "Seconds of processor that transfers take for a GB of text.", "s", query(TRANSFER_CPU_PER_GB), decimals=2, width=4,
           height=8),
    number("A GB costs", "Processor of agents and transfers, and the disks of Kafka, in the currency of the prices above. The store is not in it: what "
           "it needs depends on its mapping.", "none", query(f"{CPU_COST} + {KAFKA_COST}"), decimals=4, width=4, height=8),
    curves("Cost of a GB, by what", "Processor of agents and transfers, and the disks of Kafka, in the currency of the prices above.", "none",
           [query(CPU_COST, "processor"), query(KAFKA_COST, "disks of Kafka")], stacked=True, decimals=4, width=6),
    curves("Cost of a day", "What the bytes of a day cost, in the currency of the prices above.", "none",
           query(f"({CPU_COST} + {KAFKA_COST}) * {READ} * {DAY} / 1e9", "a day"), decimals=2, width=6),
)

BOARD = board(
    "logdrive-capacity", "logdrive / Capacity", "How it grows, for how long there is room, and what it costs.",
    [variable("job", "Job", "logdrive_build_info"), variable("instance", "Instance", "logdrive_build_info{job}"),
     variable("task", "Task", "logdrive_task_info{instance}"), window("1d", "1h", "6h", "7d"), price("cpu_hour", "A core for an hour", "0.04"),
     price("gb_month", "A GB of disk for a month", "0.08"), price("copies", "Copies in Kafka", "3"), price("days", "Days in Kafka", "3")],
    GROWTH, ROOM, COST, since="now-7d", refresh="5m")
