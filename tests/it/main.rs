//! The main road on real parts: the program as it is built, a real Kafka, a real Elasticsearch and OpenSearch,
//! a real browser. What is here is judged from outside, by what stands in the topic, in the index and on the page.

mod rig;

mod audit; // what was sent is in the store, or it is listed
mod checkpoints; // lost ones, and those that are seen and changed by hand
mod dead_letters; // documents that can't be indexed
mod debug; // what a process says that it is doing
mod elastic_kinds; // new fields with values of all kinds, and names that clash
mod elastic_pressure; // a store that pushes back, is killed and comes back
mod elastic_refusals; // indices that take no documents, beside others that do
mod elastic_security; // a real node that says 401, 403 and 413
mod elastic_tls;
mod elastic_twice; // records that are read again, across midnight and a rollover; routes by field; ids of the server
mod elastic_upgrade; // servers that become another version while lines flow
mod etcd; // the door to etcd: killed, compacted, full, away, with TLS and users
mod etcd_tasks; // tasks for one host and for many, live, from etcd; who is there
mod files; // files that rotate, shrink, vanish and come back
mod fleet; // many agents on one etcd
mod foreign; // records of rsyslog, kcat and other agents
mod host; // the machine's figures, beside the real node_exporter
mod input; // files that are not as they should be
mod json_documents; // random JSON, there and back
mod kafka_cluster; // three brokers, of which some are killed, stopped, restarted, or slow by quota
mod kafka_compression; // every codec that Kafka has
mod kafka_group; // as whom, and from where, the transfer reads
mod kafka_keys; // which key records have, and which partition a key
mod kafka_lines; // a record for each line
mod kafka_refusals; // what Kafka refuses for good is a dead letter, alone
mod kafka_security; // TLS, certificates, users, tokens, and each of them wrong
mod kafka_topics; // topics that are deleted, made again, or get more partitions
mod kills; // the same with SIGKILL at random moments
mod labels; // what a task says of all its lines
mod local; // `logdrive up`: no Kafka, its API and its page
mod logs; // the log that the program writes of itself
mod messages; // messages of several lines, in their charsets and out of their containers
mod operations; // check, metrics, health
mod outage; // the same with Kafka away, at the start and in between
mod records; // Kafka records that are not as they should be
mod reload; // a configuration that changes while lines are written
mod road; // lines that are being written arrive once, byte for byte, in order
mod samples; // `logdrive test`: what becomes of sample lines
mod setup; // `logdrive setup`: topics are made, and what is there is left alone
mod setup_elasticsearch; // templates, installed on demand
mod shared; // small tasks share their records
mod starts; // what stands in the way at the start: a damaged store, a full disk, a second agent
mod stops; // orderly stops, rotation and truncation meanwhile
mod top; // a live view of processes
mod watch; // dashboards and alerts: a real Prometheus asks and watches real programs under faults
mod wire; // the packed format, read by someone else
