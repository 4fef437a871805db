"""All agents and transfers in one look: does every line arrive, where does it wait, and who has trouble."""

from panels import ORANGE, RED, YELLOW, at_once, bars, board, column, curves, number, only_labels, query, risen, row, steps, table, variable

BEHIND = steps((300, YELLOW), (900, ORANGE), (3600, RED))
ANY = steps((1, RED))
UNACCOUNTED = """abs(sum by (instance, task) (logdrive_read_lines_total{task})
    - sum by (instance, task) ({__name__=~"logdrive_acknowledged_lines_total|logdrive_dead_lettered_lines_total|logdrive_given_up_lines_total|logdrive_in_flight_lines", job=~"$job", instance=~"$instance", task=~"$task"}))"""

AT_A_GLANCE = row(
    "At a glance",
    number("Up", "Processes that Prometheus reaches, of all that it knows of.", "short",
           [at_once("sum(up{instance})", "up"), at_once("count(up{instance})", "expected")]),
    number("Lines a second", "Lines read from files.", "short", query("sum(rate(logdrive_read_lines_total{task}[rate]))")),
    number("Bytes a second", "Bytes of lines read from files.", "binBps", query("sum(rate(logdrive_read_bytes_total{task}[rate]))")),
    number("Behind", "Bytes in files that are not safe in Kafka yet.", "bytes", query("sum(logdrive_unread_bytes{task})")),
    number("Oldest unread", "How long the oldest byte that was not read has been waiting.", "s",
           query("max(logdrive_oldest_unread_seconds{task})"), levels=BEHIND),
    number("Lines unaccounted for", "Lines read that were neither acknowledged, nor made dead letters, nor given up to be read again, nor are in "
           "flight. Anything but 0 is a fault of the program.", "short", query(f"sum({UNACCOUNTED})"), levels=ANY),
)

TRAFFIC = row(
    "Traffic",
    curves("Lines by task", "Lines read a second, by task.", "short",
           query("sum by (task) (rate(logdrive_read_lines_total{task}[rate]))", "{{task}}"), stacked=True, width=6),
    curves("Lines by host", "Lines read a second, of the ten hosts with most.", "short",
           query("topk(10, sum by (instance) (rate(logdrive_read_lines_total{task}[rate])))", "{{instance}}"), width=6),
    curves("Bytes by task", "Bytes read a second, by task.", "binBps",
           query("sum by (task) (rate(logdrive_read_bytes_total{task}[rate]))", "{{task}}"), stacked=True, width=6),
    curves("Bytes by host", "Bytes read a second, of the ten hosts with most.", "binBps",
           query("topk(10, sum by (instance) (rate(logdrive_read_bytes_total{task}[rate])))", "{{instance}}"), width=6),
)

WAITING = row(
    "Where lines wait",
    curves("Behind, by host", "Bytes that are not safe yet, of the ten hosts with most.", "bytes",
           query("topk(10, sum by (instance) (logdrive_unread_bytes{task}))", "{{instance}}"), width=6),
    curves("Behind, by task", "Bytes that are not safe yet, of the ten tasks with most.", "bytes",
           query("topk(10, sum by (task) (logdrive_unread_bytes{task}))", "{{task}}"), width=6),
    curves("Oldest unread, by host and task", "How long the oldest byte that was not read has been waiting, of the ten that wait longest.", "s",
           query("topk(10, max by (instance, task) (logdrive_oldest_unread_seconds{task}))", "{{instance}} {{task}}"), levels=BEHIND, width=6),
    curves("Lag of the transfer", "Records in Kafka that are not read yet, by topic.", "short",
           query("sum by (topic) (logdrive_consumer_lag_records{instance})", "{{topic}}"), width=6),
)

TROUBLE = row(
    "Trouble",
    bars("Firing alerts", "Alerts of logdrive that fire now, by name.", "short",
         at_once('count by (alertname, severity) (ALERTS{alertname=~"Logdrive.*", alertstate="firing"})', "{{alertname}} ({{severity}})"),
         levels=ANY, width=6),
    curves("Errors", "Errors by the part that met them and their kind.", "short",
           query(risen("logdrive_errors_total{instance}", "part", "kind"), "{{part}} {{kind}}"), stacked=True, width=6),
    curves("Dead letters", "Lines and documents that were refused for good, by reason.", "short",
           query(risen("logdrive_dead_letters_total{instance}", "reason"), "{{reason}}"), stacked=True, width=6),
    curves("Lost text", "Bytes that were gone before they were read: deleted or truncated too early.", "bytes",
           query("sum by (instance, task) (increase(logdrive_abandoned_bytes_total{task}[rate]))", "{{instance}} {{task}}"), levels=ANY, width=6),
    curves("Starts", "How often processes were started in an hour, the ten with most.", "short",
           query("topk(10, changes(process_start_time_seconds{instance}[1h]))", "{{instance}}"), levels=steps((3, RED)), width=6),
    curves("Files that can't be read", "Files by state, of those that are not read.", "short",
           query('sum by (instance, state) (logdrive_files{task, state=~"failed|waiting"})', "{{instance}} {{state}}"), levels=ANY, width=6),
    curves("Configurations refused", "Processes that run an older configuration, because the newest is refused.", "short",
           query("sum by (instance) (logdrive_config_last_reload_successful{instance} == bool 0)", "{{instance}}"), levels=ANY, width=6),
    curves("Reloads", "Configurations that were read again, by what came of it.", "short",
           query("sum by (outcome) (increase(logdrive_config_reloads_total{instance}[rate]))", "{{outcome}}"), width=6),
)

REMOTE = row(
    "Tasks from etcd",
    number("Agents that hear etcd", "Agents that hear changes of tasks. Without etcd, the tasks that are known run on.", "short",
           query("sum(logdrive_etcd_up{instance})"), width=6),
    number("Keys refused", "Keys of tasks whose newest value is refused, so that an older one runs on.", "short",
           query("sum(logdrive_remote_keys_refused{instance})"), levels=ANY, width=6),
    number("Tasks left out", "Tasks of etcd that are not wanted: another one has the name, or there would be a topic too many.", "short",
           query("sum(logdrive_remote_tasks_left_out{instance})"), levels=ANY, width=6),
    curves("Values of tasks", "Values of keys of tasks, by what became of them.", "short",
           query("sum by (outcome) (increase(logdrive_remote_values_total{instance}[rate]))", "{{outcome}}"), width=6, height=6),
)

WHO = row(
    "Who runs what",
    table("Processes", "Every process: its version, for how long it has run, what it does and how far it is behind. A click leads to its dashboard.",
          {"instance": "Instance", "version": "Version"},
          only_labels("max by (instance, version) (logdrive_build_info{instance})"),
          column("Runs for", "s", "max by (instance) (time() - process_start_time_seconds{instance})"),
          column("Lines a second", "short", "sum by (instance) (rate(logdrive_read_lines_total{instance}[rate]))"),
          column("Behind", "bytes", "sum by (instance) (logdrive_unread_bytes{instance})"),
          column("Oldest unread", "s", "max by (instance) (logdrive_oldest_unread_seconds{instance})", levels=BEHIND),
          column("Memory", "bytes", "max by (instance) (process_resident_memory_bytes{instance})"),
          column("Processor", "short", "max by (instance) (rate(process_cpu_seconds_total{instance}[rate]))"),
          sort="Behind"),
    bars("Versions", "Processes by version.", "short", at_once("count by (version) (logdrive_build_info{instance})", "{{version}}"), width=8),
    table("Task revisions", "On how many agents each revision of a task runs. More than one revision of a task: a roll-out is under way, or stuck.",
          {"task": "Task", "topic": "Topic", "revision": "Revision"},
          column("Agents", "short", "count by (task, topic, revision) (logdrive_task_info{task})"), width=16, height=8),
)

BOARD = board(
    "logdrive-fleet", "logdrive / Fleet", "All agents and transfers: does every line arrive, where does it wait, who has trouble.",
    [variable("job", "Job", "logdrive_build_info"), variable("instance", "Instance", "logdrive_build_info{job}"),
     variable("task", "Task", "logdrive_task_info{instance}")],
    AT_A_GLANCE, TRAFFIC, WAITING, TROUBLE, REMOTE, WHO)
