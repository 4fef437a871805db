#!/usr/bin/env python3
"""Reads records in logdrive's packed format, independently of logdrive: only docs/wire-format.md was followed.

    decode.py --file RECORD.json ...        records as JSON, {"headers": {name: base64}, "value": base64}; their text
                                            goes to standard output
    decode.py HOST:PORT TOPIC DIRECTORY     all records of a topic, from its beginning to its present end; each
                                            stream's text goes to DIRECTORY/<its path>, every segment at its offset

A stream whose path is taken by another stream gets its identity behind the path. Ends with status 1 at the first
record that is not as the format says.

Needs the package lz4, and kafka-python for a topic.
"""

import argparse
import base64
import codecs
import json
import os
import re
import sys
import unicodedata
import zlib

import lz4.frame

TEXT_BYTES_MAX = 64 << 20
SEGMENTS_MAX = 10_000
META_BYTES_MAX = 8 << 20


class BadRecord(Exception):
    """A record is not as the format says."""


def decode(headers, value):
    """The metadata and the list of the segments' texts of a record, whose headers are a dict of bytes."""
    if "logdrive.version" not in headers:
        raise BadRecord("no header logdrive.version")
    version = headers["logdrive.version"]
    if version not in (b"1", b"2", b"3"):
        raise BadRecord(f"unknown version {version!r}")
    if "logdrive.meta" not in headers:
        raise BadRecord("no header logdrive.meta")
    if len(headers["logdrive.meta"]) > META_BYTES_MAX:
        raise BadRecord("too much metadata")
    try:
        meta = json.loads(headers["logdrive.meta"].decode("utf-8"))
        segments = meta["segments"]
        sizes = [segment["bytes"] for segment in segments]
        tasks = meta["tasks"] if version == b"3" else [{"name": meta["task"], "labels": meta.get("labels", {})}]
        if not tasks:
            raise BadRecord("no tasks")
        for task in tasks:
            task["name"].encode("utf-8")
            check_labels(task.get("labels", {}))
        for segment in segments:
            if version == b"1":
                for name in ("charset", "format", "messages"):
                    segment.pop(name, None)
            if version == b"3" and not 0 <= segment.get("task", 0) < len(tasks):
                raise BadRecord("a segment of no task")
            check_segment(segment)
    except (ValueError, KeyError, TypeError, AttributeError, LookupError) as err:
        raise BadRecord(f"metadata: {err!r}") from err
    if len(segments) > SEGMENTS_MAX or sum(sizes) > TEXT_BYTES_MAX:
        raise BadRecord("too many segments or too much text")

    text = decompress(value, sum(sizes))
    if "crc32" in meta and meta["crc32"] != zlib.crc32(value):
        raise BadRecord("the value was changed")
    texts, start = [], 0
    for segment, size in zip(segments, sizes):
        piece = text[start : start + size]
        check_text(segment, piece)
        texts.append(piece)
        start += size
    return meta, texts


def decompress(value, size):
    """The content of the one LZ4 frame that value is; it must have size bytes."""
    decompressor = lz4.frame.LZ4FrameDecompressor()
    try:
        # One byte more than there should be tells a text that is too long without unpacking all of it.
        text = decompressor.decompress(value, max_length=size + 1)
        while not decompressor.eof and not decompressor.needs_input and len(text) <= size:
            text += decompressor.decompress(b"", max_length=size + 1 - len(text))
    except RuntimeError as err:
        raise BadRecord(f"frame: {err}") from err
    if len(text) > size:
        raise BadRecord("the text is longer than the segments say")
    if not decompressor.eof:
        raise BadRecord("the frame is cut short")
    if decompressor.unused_data:
        raise BadRecord("something stands behind the frame")
    if len(text) < size:
        raise BadRecord("the text is shorter than the segments say")
    return text


def check_labels(labels):
    """Refuses labels that are not as labels are."""
    good = len(labels) <= 16
    for name, value in labels.items():
        good = good and re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}", name) is not None
        good = good and 0 < len(value.encode("utf-8")) <= 256
        good = good and not any(unicodedata.category(char) == "Cc" for char in value)
    if not good:
        raise BadRecord("labels that can't be")


def check_segment(segment):
    """Refuses metadata that no text could fit."""
    if not re.fullmatch(r"[0-9a-f]{32}", segment["file"]):
        raise BadRecord("file is not 32 hexadecimal digits")
    if segment["bytes"] <= 0 or segment["offset"] < 0 or segment["offset"] + segment["bytes"] >= 1 << 64:
        raise BadRecord("a segment is empty or ends beyond the largest offset")
    if segment.get("part", "whole") not in ("whole", "first", "middle", "last"):
        raise BadRecord("unknown part")
    if segment.get("format") not in (None, "cri", "docker-json"):
        raise BadRecord("unknown format")
    path_of(segment)
    codecs.lookup(segment.get("charset", "utf-8"))
    for run in segment.get("messages", []):
        check_run(run)


def check_run(run):
    """Refuses what can't be said of messages."""
    if isinstance(run, list):
        following = 0
        for number in run:
            if not 0 <= number <= following:
                raise BadRecord("messages are numbered out of order")
            following += number == following
        good = following >= 2
    else:
        good = run < 0 or run >= 2
    if not good:
        raise BadRecord(f"messages can't be {run!r}")


def count_lines(segment, text):
    """How many lines of the segment's charset end in text, and whether the last one does."""
    newline = {"UTF-16LE": b"\n\0", "UTF-16BE": b"\0\n"}.get(segment.get("charset"), b"\n")
    width = len(newline)
    count = sum(text[at : at + width] == newline for at in range(0, len(text), width)) if width > 1 else text.count(newline)
    return count, len(text) % width == 0 and text.endswith(newline)


def count_told(run):
    """How many lines a run of messages tells of."""
    return len(run) if isinstance(run, list) else abs(run)


def check_text(segment, piece):
    """Refuses text that is not what its segment says."""
    part, messages = segment.get("part", "whole"), segment.get("messages", [])
    newlines, ended = count_lines(segment, piece)
    if part == "whole":
        told = sum(map(count_told, messages)) if messages else newlines
        good = ended and newlines == segment["lines"] == told
    elif part == "last":
        good = ended and newlines == 1 and segment["lines"] == 1 and not messages
    else:
        good = newlines == 0 and segment["lines"] == 1 and not messages
    if not good:
        raise BadRecord(f"a segment ({part}, {segment['lines']} lines) does not agree with its text")


def path_of(segment):
    """The file's path as bytes."""
    if "path_b64" in segment:
        return base64.b64decode(segment["path_b64"], validate=True)
    return segment["path"].encode("utf-8")


def records_of_files(paths):
    for path in paths:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
        headers = {name: base64.b64decode(value) for name, value in record["headers"].items()}
        yield path, headers, base64.b64decode(record["value"])


def records_of_topic(servers, topic):
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(
        bootstrap_servers=servers, enable_auto_commit=False, max_partition_fetch_bytes=8 << 20, fetch_max_bytes=32 << 20
    )
    partitions = [TopicPartition(topic, partition) for partition in consumer.partitions_for_topic(topic) or ()]
    if not partitions:
        raise SystemExit(f"decode.py: there is no topic {topic} at {servers}")
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for partition, records in consumer.poll(timeout_ms=1000).items():
            for record in records:
                if record.offset < ends[partition]:
                    yield f"{topic}/{record.partition}@{record.offset}", dict(record.headers), record.value


class Directory:
    """The streams' texts as files."""

    def __init__(self, root):
        self.root, self.names = os.fsencode(root), {}

    def write(self, segment, piece):
        target = os.path.join(self.root, self.name_of(segment))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "r+b" if os.path.exists(target) else "w+b") as file:
            file.seek(segment["offset"])
            file.write(piece)

    def name_of(self, segment):
        stream = (segment["file"], segment["generation"])
        if stream not in self.names:
            # No path leads out of the directory.
            name = os.path.normpath(b"/" + path_of(segment)).lstrip(b"/")
            if name in self.names.values():
                name += ".{}.{}".format(*stream).encode()
            self.names[stream] = name
        return self.names[stream]

    def close(self):
        pass


class Output:
    """The texts one after the other on standard output."""

    def write(self, _segment, piece):
        sys.stdout.buffer.write(piece)

    def close(self):
        sys.stdout.buffer.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", nargs="+", metavar="RECORD.json")
    parser.add_argument("topic", nargs="*", metavar="HOST:PORT TOPIC DIRECTORY")
    options = parser.parse_args()
    if len(options.topic) != (0 if options.file else 3):
        parser.error("give either --file, or a server, a topic and a directory")
    if options.file:
        records, output = records_of_files(options.file), Output()
    else:
        servers, topic, directory = options.topic
        records, output = records_of_topic(servers, topic), Directory(directory)
    for name, headers, value in records:
        try:
            meta, texts = decode(headers, value)
        except BadRecord as err:
            raise SystemExit(f"decode.py: {name}: {err}") from err
        for segment, piece in zip(meta["segments"], texts):
            output.write(segment, piece)
    output.close()


if __name__ == "__main__":
    main()
