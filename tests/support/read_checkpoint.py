#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""read_checkpoint: reads the keyed state of the newest checkpoint in a folder from nothing but what is written down
in runtime/checkpoint/FORMAT.md and runtime/record/FORMAT.md, as a program of somebody else would.
usage: read_checkpoint.py FOLDER UID STATE     (STATE: a name, or "timers")

Prints what `weir savepoint query` does, in another order. Each byte that it reads is under a checksum, which it holds
against XXH3.
"""
import ctypes
import json
import os
import struct
import sys

xxhash, zstd = ctypes.CDLL("libxxhash.so.0"), ctypes.CDLL("libzstd.so.1")
xxhash.XXH3_64bits.restype = ctypes.c_uint64
xxhash.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
zstd.ZSTD_decompress.restype = ctypes.c_size_t
zstd.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]

SHAPES, VALUES, TIMERS, MANIFEST, END, BASES, CHANGED = 3, 4, 5, 6, 7, 11, 12
LIST, MAP = 1, 2


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        assert self.at + length <= len(self.data), "cut off"
        self.at += length
        return self.data[self.at - length:self.at]

    def fixed(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.fixed("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def string(self):
        return self.take(self.varint())

    def more(self):
        return self.at < len(self.data)


def number_of(value):
    return int(value) if isinstance(value, float) and value.is_integer() else value


def value_of(r):
    tag = r.fixed("B")
    if tag < 4:
        return (None, None, False, True)[tag]
    if tag < 7:
        return number_of(r.fixed("dqQ"[tag - 4]))
    if tag < 9:
        return r.string().decode()
    if tag == 9:
        return [value_of(r) for _ in range(r.varint())]
    if tag == 10:
        return {value_of(r): value_of(r) for _ in range(r.varint())}
    assert tag == 11, tag
    return {r.string().decode(): value_of(r) for _ in range(r.varint())}


def shape_of(r):
    flags, fields = r.fixed("B"), []
    for _ in range(r.varint()):
        name, type_ = r.string().decode(), r.fixed("B")
        fields.append((name, type_, shape_of(r) if type_ == 10 else None))
    return flags, fields


def row_of(body, shape):
    flags, fields = shape
    r, missing, record = Reader(body), 0, {}
    if flags & 1:
        for i in range((len(fields) + 63) // 64):
            missing |= r.fixed("Q") << 64 * i
    for i, (name, type_, child) in enumerate(fields):
        slot = r.take(8)
        if missing >> i & 1:
            continue
        if type_ <= 5:
            value = (None, slot[0] == 1, *(number_of(struct.unpack("<" + f, slot)[0]) for f in "dqQ"))[type_ - 1]
        else:
            offset, length = struct.unpack("<II", slot)
            part = body[offset:offset + length]
            value = part.decode() if type_ < 8 else row_of(part, child) if type_ == 10 else value_of(Reader(part))
        record[name] = value
    return record[""] if flags & 2 else record


def key_of(data):
    r = Reader(data)
    tag = r.take(1)
    if tag == b"t":
        return [part_of(r, r.take(1)) for _ in range(r.fixed("B"))]
    return part_of(r, tag)


def part_of(r, tag):
    return r.string().decode() if tag == b"s" else r.fixed({b"b": "?", b"i": "q", b"u": "Q", b"d": "d"}[tag])


def blocks_of(path):
    """[(kind, stage, payload)] of a blob."""
    data, at, blocks = open(path, "rb").read(), 0, []
    while at < len(data):
        magic, version, kind, codec, zero, stage, _, unpacked, length, checksum = struct.unpack_from("<4s4BIIIIQ", data, at)
        padded = data[at + 32:at + 32 + (length + 7) // 8 * 8]
        summed = data[at:at + 24] + padded
        assert (magic, version, zero) == (b"WLBK", 2, 0) and not any(padded[length:]), path
        assert xxhash.XXH3_64bits(summed, len(summed)) == checksum, path
        payload = padded[:length]
        if codec == 1:
            room = ctypes.create_string_buffer(unpacked)
            assert zstd.ZSTD_decompress(room, unpacked, payload, length) == unpacked, path
            payload = room.raw
        assert len(payload) == unpacked, path
        blocks.append((kind, stage, payload))
        at += 32 + len(padded)
    assert blocks[-1][0] == END and Reader(blocks[-1][2]).fixed("Q") == len(blocks) - 1, path
    return blocks


class Entries:
    """What items of a block say of their entry; an item without key has that of the item before."""

    def __init__(self, payload):
        self.r, self.number, self.key = Reader(payload), 0, None

    def take(self, flags, numbered):
        if flags & numbered:
            step = self.r.varint()
            self.number += step >> 1 ^ -(step & 1)
        if flags & 1:
            self.key = self.r.string()
            assert not self.r.string(), "namespaces are of windows"


def values_in(payload, shapes):
    e = Entries(payload)
    r = e.r
    while r.more():
        flags = r.fixed("B")
        e.take(flags, 16)
        state = r.varint()
        if flags & 2:
            r.fixed("q")
        in_map = r.string() if flags & 4 else None
        if flags & 8:
            r.fixed("B")
        shape = shapes[r.varint()]
        yield e.number, state, e.key, in_map, row_of(r.string(), shape)


def timers_in(payload):
    e = Entries(payload)
    while e.r.more():
        flags = e.r.fixed("B")
        e.take(flags, 4)
        yield e.number, e.key, "processing time" if flags & 2 else "event time", e.r.fixed("q")


def items_of(folder, blob, stage):
    """Of the state of a stage in a subtask: ("value", …) and ("timer", …)."""
    blobs, gone = [blocks_of(os.path.join(folder, blob))], set()
    for kind, _, payload in blobs[0]:
        if kind == BASES:
            blobs += [blocks_of(os.path.join(folder, name.decode())) for name in payload.split(b"\0")[:-1]]
    for blocks in blobs:
        shapes, changed = {}, None
        for kind, of, payload in blocks:
            if kind == SHAPES:
                r = Reader(payload)
                while r.more():
                    number = r.fixed("I")
                    shapes[number] = shape_of(r)
            if of != stage:
                continue
            if kind == VALUES:
                yield from (("value", *item[1:]) for item in values_in(payload, shapes) if item[0] not in gone)
            if kind == TIMERS:
                yield from (("timer", *item[1:]) for item in timers_in(payload) if item[0] not in gone)
            if kind == CHANGED:
                r, number = Reader(payload), 0
                changed = set() if changed is None else changed
                while r.more():
                    number += r.varint()
                    changed.add(number)
        if changed is None:
            return
        gone |= changed


def main(folder, uid, name):
    numbers = [int(e[4:]) for e in os.listdir(folder) if e.startswith("chk-")]
    newest = max(n for n in numbers if os.path.exists(f"{folder}/chk-{n}/manifest"))
    manifest = next(value_of(Reader(p)) for kind, _, p in blocks_of(f"{folder}/chk-{newest}/manifest") if kind == MANIFEST)

    def text(value):
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    for vertex in manifest["vertices"]:
        for i, stage in enumerate(vertex["stages"]):
            if stage["uid"] != uid:
                continue
            for task in vertex["tasks"]:
                places = {}
                for kind, *item in items_of(folder, task["blob"], i) if task["blob"] else ():
                    if kind == "timer" and name == "timers":
                        print(text(key_of(item[0])), f"{item[1]} {item[2]}", sep="\t")
                    if kind == "timer" or name == "timers" or stage["states"][item[0]]["name"] != name:
                        continue
                    state, key, in_map, value = item
                    places[key] = places.get(key, 0) + 1
                    of = stage["states"][state]["kind"]
                    where = [text(key_of(in_map))] if of == MAP else [f"#{places[key]}"] if of == LIST else []
                    print(text(key_of(key)), *where, text(value), sep="\t")


main(*sys.argv[1:])
