"""From Kafka into the store: how far behind, how the store answers, what is refused. Also the embedded store and its answers."""

from panels import ORANGE, RED, YELLOW, board, curves, heat, number, quantiles, query, risen, row, steps, variable
from fleet import ANY
from process import kafka_client, process

AT_A_GLANCE = row(
    "At a glance",
    number("Lag", "Records in Kafka that are not read yet.", "short", query("sum(logdrive_consumer_lag_records{topic})"),
           levels=steps((1e4, YELLOW), (1e5, ORANGE))),
    number("Records a second", "Kafka records read.", "short", query("sum(rate(logdrive_consumed_records_total{topic}[rate]))")),
    number("Documents a second", "Documents that the store took for the first time.", "short",
           query('sum(rate(logdrive_documents_total{instance, outcome="created"}[rate]))')),
    number("Line to index", "From the time that stands in a line until it is indexed: 99 of 100 lines in less.", "s",
           query("histogram_quantile(0.99, sum by (le) (rate(logdrive_end_to_end_seconds_bucket{topic}[rate])))"),
           levels=steps((60, YELLOW), (600, RED))),
    number("Dead letters", "Documents that were refused for good, in the time that is shown.", "short",
           query('sum(increase(logdrive_documents_total{instance, outcome="dead_lettered"}[$__range]))'), levels=steps((1, ORANGE))),
    number("Stopped indices", "Indices that take no documents now, for a reason of their own.", "short",
           query("sum(logdrive_stopped_indices{instance})"), levels=ANY),
)

CONSUMING = row(
    "From Kafka",
    curves("Lag by partition", "Records behind the end of the partition, of the twenty with most.", "short",
           query("topk(20, sum by (topic, partition) (logdrive_consumer_lag_records{topic}))", "{{topic}} {{partition}}")),
    curves("Records by topic", "Kafka records read a second.", "short",
           query("sum by (topic) (rate(logdrive_consumed_records_total{topic}[rate]))", "{{topic}}"), stacked=True),
    curves("Bytes by topic", "Bytes of record values read a second.", "binBps",
           query("sum by (topic) (rate(logdrive_consumed_bytes_total{topic}[rate]))", "{{topic}}"), stacked=True),
    curves("Progress by partition", "By how many records the committed offset moves a second, of the twenty fastest partitions.", "short",
           query("topk(20, sum by (topic, partition) (rate(logdrive_consumer_committed_offset{topic}[rate])))", "{{topic}} {{partition}}")),
    curves("Rebalances", "Partitions assigned, revoked and lost, and consumers made anew.", "short",
           query("sum by (kind) (increase(logdrive_consumer_rebalances_total{instance}[rate]))", "{{kind}}")),
    curves("Budget in use", "What was read and is not in the store yet, as a share of the limit.", "percentunit",
           query("logdrive_in_flight_bytes{instance} / logdrive_in_flight_limit_bytes{instance}", "{{instance}}"),
           levels=steps((0.95, ORANGE))),
)

INDEXING = row(
    "Into the store",
    curves("Documents by outcome", "Created, there already, to be sent again, refused for good, or skipped on purpose.", "short",
           query("sum by (outcome) (rate(logdrive_documents_total{instance}[rate]))", "{{outcome}}"), stacked=True),
    heat("Time of a bulk request", "How long a bulk request or a commit took.", "s", "logdrive_bulk_seconds_bucket{instance}"),
    heat("Size of a bulk request", "Bytes of bulk bodies, before compression.", "bytes", "logdrive_bulk_size_bytes_bucket{instance}"),
    curves("Time of a bulk request, by instance", "Half of the requests, and 99 of 100, are answered in less.", "s",
           quantiles("logdrive_bulk_seconds_bucket{instance}", "instance"), levels=steps((10, ORANGE))),
    curves("Answers by status", "Bulk answers by HTTP status; 0 where there was none. 429 and 503: the store pushes back.", "short",
           query("sum by (code) (rate(logdrive_bulk_responses_total{instance}[rate]))", "{{code}}"), stacked=True),
    curves("Requests at once", "How many bulk requests may be under way: fewer when the store pushes back.", "short",
           query("logdrive_bulk_requests_limit{instance}", "{{instance}}")),
    curves("Backoff", "How long a transfer waits now before it tries again; 0 when it doesn't.", "s",
           query("logdrive_backoff_seconds{instance}", "{{instance}}")),
    curves("Stopped indices", "Indices that take no documents now, and the documents held for them.", "short",
           [query("sum by (instance) (logdrive_stopped_indices{instance})", "{{instance}} indices"),
            query("sum by (instance) (logdrive_stopped_documents{instance})", "{{instance}} documents")]),
    curves("Partitions paused", "Partitions that were paused, to be read again later, because too much is held for stopped indices.", "short",
           query("sum by (instance) (increase(logdrive_returned_partitions_total{instance}[rate]))", "{{instance}}")),
)

DOCUMENTS = row(
    "Documents",
    curves("Dead letters by reason", "Documents and records that were refused for good.", "short",
           query(risen("logdrive_dead_letters_total{instance}", "reason"), "{{reason}}"), stacked=True),
    curves("Tags", "Documents of lines that something was wrong with, by the tag that they carry.", "short",
           query("sum by (tag) (increase(logdrive_tagged_documents_total{instance}[rate]))", "{{tag}}"), stacked=True),
    curves("In the index of others", "Documents whose index name has `other` in the place of a field: it is not there, or has too many values.", "short",
           query("sum by (reason) (increase(logdrive_rerouted_documents_total{instance}[rate]))", "{{reason}}"), stacked=True),
    heat("From line to index", "From the time that stands in a line until it is indexed.", "s", "logdrive_end_to_end_seconds_bucket{topic}", width=12),
    curves("From line to index, by topic", "Half of the lines, and 99 of 100, are indexed in less.", "s",
           quantiles("logdrive_end_to_end_seconds_bucket{topic}", "topic"), levels=steps((60, YELLOW), (600, RED)), width=12),
)

ANSWERS = row(
    "Embedded store and search",
    curves("Size of the store", "Bytes of the embedded store on disk.", "bytes", query("logdrive_store_bytes{instance}", "{{instance}}"), width=6),
    curves("Documents that expired", "Documents that were deleted because the embedded store had outgrown its limit.", "short",
           query("sum by (instance) (increase(logdrive_store_expired_documents_total{instance}[rate]))", "{{instance}}"), width=6),
    curves("Questions", "Questions asked of the store, by kind and outcome.", "short",
           query("sum by (kind, outcome) (increase(logdrive_searches_total{instance}[rate]))", "{{kind}} {{outcome}}"), stacked=True, width=6),
    curves("Time of an answer", "Half of the answers, and 99 of 100, took less.", "s", quantiles("logdrive_search_seconds_bucket{instance}", "kind"),
           width=6),
)

BOARD = board(
    "logdrive-transfer", "logdrive / Transfer", "From Kafka into the store: how far behind, how the store answers, what is refused.",
    [variable("job", "Job", "logdrive_backoff_seconds"), variable("instance", "Instance", "logdrive_backoff_seconds{job}"),
     variable("topic", "Topic", "logdrive_consumed_records_total{instance}")],
    AT_A_GLANCE, CONSUMING, INDEXING, DOCUMENTS, ANSWERS, kafka_client(), process())
