//! Role: Kafka to a store.
