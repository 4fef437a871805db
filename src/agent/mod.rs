//! Role: files to Kafka.
