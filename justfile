# What is done often. `just` lists it; each is one line that works without just, too.

_:
    @just --list --unsorted

# Is it right? Style, lints, unit tests and the house's rules; what one runs before every commit.
check:
    cargo fmt --all --check
    cargo clippy --locked --all-targets -- -D warnings
    cargo test --locked --lib --bins --test tidy

# Everything that can be proven on one machine, with a real Kafka and Elasticsearch: `just test` or `just test services`.
test *steps:
    scripts/test {{ steps }}

# Build, run `logdrive up` on this machine's logs, and say which page to open.
demo:
    scripts/demo

# Format everything.
fmt:
    cargo fmt --all

# What the hot paths cost: `just bench`, or `just bench splitter`.
bench *names:
    cargo bench --locked {{ if names == "" { "" } else { "--bench " + names } }}

# A short run of each fuzz target, with its seeds.
fuzz:
    scripts/fuzz
