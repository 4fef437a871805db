"""Hosts, by the names of node_exporter: it may come from the agent or from node_exporter itself."""

from panels import ORANGE, RED, YELLOW, board, curves, number, query, row, steps, variable

FULL = steps((0.8, YELLOW), (0.9, RED))
REAL = 'fstype!~"tmpfs|ramfs|overlay|squashfs"'
USED = f"1 - node_filesystem_avail_bytes{{instance, {REAL}}} / (node_filesystem_size_bytes{{instance, {REAL}}} > 0)"


def busy(by):
    return f'1 - avg by ({by}) (rate(node_cpu_seconds_total{{instance, mode="idle"}}[rate]))'


AT_A_GLANCE = row(
    "At a glance",
    number("Up for", "Time since the host was started; of the one that was started last.", "s",
           query("min(node_time_seconds{instance} - node_boot_time_seconds{instance})")),
    number("Processor", "Share of time that cores are not idle, of the busiest host.", "percentunit",
           query(f"clamp_min(max({busy('instance')}), 0)"), levels=FULL),
    number("Load", "Processes that run or want to, on average over a minute, of the host with most.", "short", query("max(node_load1{instance})")),
    number("Memory", "Share of memory that is not available, of the host with least.", "percentunit",
           query("max(1 - node_memory_MemAvailable_bytes{instance} / node_memory_MemTotal_bytes{instance})"), levels=FULL),
    number("Fullest file system", "Share in use, of the file system with least room.", "percentunit", query(f"max({USED})"), levels=FULL),
    number("Out of memory", "Processes that the kernel ended for want of memory, in the time that is shown.", "short",
           query("sum(increase(node_vmstat_oom_kill{instance}[$__range]))"), levels=steps((1, RED))),
)

PROCESSOR = row(
    "Processor",
    curves("Processor by host", "Share of time that cores are not idle.", "percentunit",
           query(f"clamp_min({busy('instance')}, 0)", "{{instance}}"), width=6),
    curves("Processor by mode", "What cores spend their time on, as a share.", "percentunit",
           query("clamp_max(avg by (mode) (rate(node_cpu_seconds_total{instance}[rate])), 1)", "{{mode}}"), stacked=True, width=6),
    curves("Load", "Processes that run or want to, on average over 1, 5 and 15 minutes.", "short",
           [query("node_load1{instance}", "{{instance}} 1 min"), query("node_load5{instance}", "{{instance}} 5 min"),
            query("node_load15{instance}", "{{instance}} 15 min")], width=6),
    curves("Processes", "Processes that run, and that wait for a disk.", "short",
           [query("node_procs_running{instance}", "{{instance}} running"), query("node_procs_blocked{instance}", "{{instance}} blocked")], width=6),
    curves("Context switches", "Changes from a process to another a second.", "short",
           query("rate(node_context_switches_total{instance}[rate])", "{{instance}}"), width=6),
    curves("Waiting for the processor", "Share of time in which some process had to wait for a core.", "percentunit",
           query("clamp_max(rate(node_pressure_cpu_waiting_seconds_total{instance}[rate]), 1)", "{{instance}}"), width=6),
    curves("Waiting for memory", "Share of time in which some, and in which all processes had to wait for memory.", "percentunit",
           [query("clamp_max(rate(node_pressure_memory_waiting_seconds_total{instance}[rate]), 1)", "{{instance}} some"),
            query("clamp_max(rate(node_pressure_memory_stalled_seconds_total{instance}[rate]), 1)", "{{instance}} all")], width=6),
    curves("Waiting for disks", "Share of time in which some, and in which all processes had to wait for disks.", "percentunit",
           [query("clamp_max(rate(node_pressure_io_waiting_seconds_total{instance}[rate]), 1)", "{{instance}} some"),
            query("clamp_max(rate(node_pressure_io_stalled_seconds_total{instance}[rate]), 1)", "{{instance}} all")], width=6),
)

MEMORY = row(
    "Memory",
    curves("Memory", "Memory that is available, free, and holds pages of files.", "bytes",
           [query("node_memory_MemTotal_bytes{instance}", "{{instance}} all"), query("node_memory_MemAvailable_bytes{instance}", "{{instance}} available"),
            query("node_memory_MemFree_bytes{instance}", "{{instance}} free"),
            query("node_memory_Cached_bytes{instance} + node_memory_Buffers_bytes{instance} + node_memory_SReclaimable_bytes{instance}",
                  "{{instance}} of files")], width=12),
    curves("Swap in use", "Memory that lies on a disk.", "bytes",
           query("node_memory_SwapTotal_bytes{instance} - node_memory_SwapFree_bytes{instance}", "{{instance}}"), width=6),
    curves("Descriptors in use", "Open files of the whole host, as a share of the limit.", "percentunit",
           query("node_filefd_allocated{instance} / node_filefd_maximum{instance}", "{{instance}}"), levels=FULL, width=6),
)

DISKS = row(
    "Disks and file systems",
    curves("File systems in use", "Share of the file system that is in use.", "percentunit", query(USED, "{{instance}} {{mountpoint}}"), levels=FULL, width=12),
    curves("Room in file systems", "Bytes that programs may still write.", "bytes",
           query(f"node_filesystem_avail_bytes{{instance, {REAL}}}", "{{instance}} {{mountpoint}}"), width=6),
    curves("Files in use", "Files, as a share of those that the file system can have.", "percentunit",
           query(f"1 - node_filesystem_files_free{{instance, {REAL}}} / (node_filesystem_files{{instance, {REAL}}} > 0)", "{{instance}} {{mountpoint}}"),
           levels=FULL, width=6),
    curves("Bytes to and from disks", "Bytes read and written a second.", "binBps",
           [query("sum by (instance, device) (rate(node_disk_read_bytes_total{instance}[rate]))", "{{instance}} {{device}} read"),
            query("sum by (instance, device) (rate(node_disk_written_bytes_total{instance}[rate]))", "{{instance}} {{device}} written")]),
    curves("Requests to disks", "Reads and writes that disks completed, a second.", "iops",
           [query("sum by (instance, device) (rate(node_disk_reads_completed_total{instance}[rate]))", "{{instance}} {{device}} reads"),
            query("sum by (instance, device) (rate(node_disk_writes_completed_total{instance}[rate]))", "{{instance}} {{device}} writes")]),
    curves("Disks that are busy", "Share of time in which a disk had something to do.", "percentunit",
           query("clamp_max(rate(node_disk_io_time_seconds_total{instance}[rate]), 1)", "{{instance}} {{device}}"), levels=FULL),
)

NETWORK = row(
    "Network",
    curves("Received", "Bytes received a second.", "binBps",
           query("sum by (instance, device) (rate(node_network_receive_bytes_total{instance}[rate]))", "{{instance}} {{device}}"), width=12),
    curves("Transmitted", "Bytes transmitted a second.", "binBps",
           query("sum by (instance, device) (rate(node_network_transmit_bytes_total{instance}[rate]))", "{{instance}} {{device}}"), width=12),
)

BOARD = board(
    "logdrive-host", "logdrive / Host", "Hosts, by the names of node_exporter.",
    [variable("job", "Job", "node_boot_time_seconds"), variable("instance", "Instance", "node_boot_time_seconds{job}")],
    AT_A_GLANCE, PROCESSOR, MEMORY, DISKS, NETWORK)
