"""Damage drawn at random: to bytes, to the structure of JSON, safetensors and HDF5, and to words of gin files."""

from __future__ import annotations

import copy
import io
import json
import struct
from collections.abc import Callable
from random import Random
from typing import Any

import h5py
import numpy as np

EDGES = (0, 1, 2, 7, 8, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64)
#: What may stand in the place of any JSON value, as text: also what Python reads and JSON does not know.
ODD = (
    *("null", "true", "false", "{}", "[]", '""', "-1", "0", "1", "0.5", "-0.0", "1e308", "1e999", "NaN", "-Infinity"),
    *(str(edge) for edge in EDGES),
    *("9" * 400, "1" + "0" * 4200, "-" + "9" * 19),
    *(json.dumps(text) for text in ("../../escape", "/tmp/escape", "..", ".", "a/b", "a\\b", "\x00", "\n", "ü" * 300)),
    *(
        json.dumps(text)
        for text in ("<script>alert(1)</script>", "\ud800", "${HOME}", "%s{0}", "__class__", "x" * 9999)
    ),
    *('{"part": "encoders.focal"}', '{"a": 1, "a": 2}', "[[1, 2], [3]]", "[1, null]", "[true]", '{"": {"": {}}}'),
    *("[" * depth + "]" * depth for depth in (50, 900, 960, 985, 1100, 100_000)),
    '{"a":' * 970 + "1" + "}" * 970,
)


def damaged(content: bytes, kind: str, rng: Random) -> bytes:
    """Return a file's content with one to three faults in it; ``kind`` is the ending of its name."""
    ways: dict[str, Callable[[bytes, Random], bytes]] = {
        ".json": _json,
        ".jsonl": _json_lines,
        ".safetensors": _safetensors,
        ".hdf5": _hdf5,
        ".gin": _words,
    }
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        own = ways.get(kind)
        try:
            content = own(content, rng) if own and rng.random() < 0.75 else _bytes(content, rng)
        except (
            ValueError,
            TypeError,
            KeyError,
            OSError,
            OverflowError,
            RecursionError,
            RuntimeError,
            struct.error,
        ):  # too damaged already to find its parts
            content = _bytes(content, rng)
    return content


def _bytes(content: bytes, rng: Random) -> bytes:
    """Flip a bit, set a byte, cut, insert, repeat or swap."""
    if not content:
        return rng.randbytes(rng.randrange(20))
    at, to = sorted((rng.randrange(len(content)), rng.randrange(len(content))))
    to = min(to, at + rng.choice((1, 4, 8, 64, 4096)))
    way = rng.randrange(8)
    if way <= 1:
        return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
    if way == 2:
        return (
            content[:at]
            + rng.choice((b"\x00", b"\xff", b"\x80", b'"', b"{", b"9", b".", b"-", b"\n"))
            + content[at + 1 :]
        )
    if way == 3:
        return content[:at]
    if way == 4:
        return content[:at] + content[to:]
    if way == 5:
        return content[:at] + rng.randbytes(rng.choice((1, 4, 8, 64))) + content[at:]
    if way == 6:
        return content[:to] + content[at:to] * rng.choice((1, 2, 50)) + content[to:]
    return content[:at] + struct.pack("<Q", rng.choice(EDGES) % 2**64) + content[at + 8 :]


def _json(content: bytes, rng: Random) -> bytes:
    return _odd_json(json.loads(content), rng).encode("utf-8", "surrogatepass")


def _json_lines(content: bytes, rng: Random) -> bytes:
    lines = content.splitlines()
    at = rng.randrange(len(lines))
    lines[at] = _json(lines[at], rng)
    return b"\n".join(lines)


def _odd_json(value: Any, rng: Random) -> str:
    """Return JSON in which one place was changed: its value, its name, its presence, or its neighbour's value."""
    value, hole = copy.deepcopy(value), "\x01hole\x01"
    places = list(_places(value))
    if not places:
        return rng.choice(ODD)
    holder, key = rng.choice(places)
    text = rng.choice(ODD)
    way = rng.randrange(10)
    if way == 0:
        del holder[key]
    elif way == 1 and isinstance(holder, dict):
        holder[json.loads(json.dumps(rng.choice(("", "x", "../x", "task", "\x00", "<b>", "part"))))] = holder.pop(key)
    elif way == 2 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif way == 3:
        other, name = rng.choice(places)
        holder[key] = copy.deepcopy(other[name])
    elif way == 4 and type(holder[key]) in (int, float):
        holder[key] = rng.choice(
            (-holder[key], holder[key] + 1, holder[key] * 10**9, float(holder[key]), str(holder[key]))
        )
    elif way == 5 and isinstance(holder, dict):  # a name that stands there twice
        whole = json.dumps({**holder, hole: 0})
        return json.dumps(value).replace(json.dumps(holder), whole.replace(json.dumps(hole), json.dumps(key)), 1)
    else:
        holder[key] = hole
    return json.dumps(value).replace(json.dumps(hole), text)


def _places(value: Any) -> Any:
    """Go through all places of a JSON value, each as its holder and its key there."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


def _safetensors(content: bytes, rng: Random) -> bytes:
    """Change the header's length, the header, or the values behind it."""
    (length,) = struct.unpack("<Q", content[:8])
    header, body = content[8 : 8 + length], content[8 + length :]
    way = rng.randrange(5)
    if way == 0:
        return struct.pack("<Q", rng.choice((*EDGES, length - 1, length + 1, len(content))) % 2**64) + content[8:]
    if way == 1:
        at = rng.randrange(max(1, len(body) // 4)) * 4
        odd = rng.choice((np.nan, np.inf, -np.inf, 3e38, -2.0, 0.5))
        return content[: 8 + length + at] + np.float32(odd).tobytes() + body[at + 4 :]
    if way == 2:  # one tensor in the place of another, of the same bytes
        entries = json.loads(header)
        one, other = rng.choice(list(entries)), rng.choice(list(entries))
        entries[one], entries[other] = entries[other], entries[one]
        changed = json.dumps(entries).encode()
    else:
        changed = _json(header, rng)
    return struct.pack("<Q", len(changed)) + changed + body


def _hdf5(content: bytes, rng: Random) -> bytes:
    """Remove, retype, reshape or refill a dataset, or change an attribute."""
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        found: list[Any] = []
        file.visititems(lambda name, item: found.append(item))
        item = rng.choice(found)
        way = rng.randrange(6)
        if way == 0:
            del file[item.name]
        elif way == 1 and item.attrs:
            name = rng.choice(list(item.attrs))
            item.attrs[name] = rng.choice((-1, 2**40, 0.5, "text", np.zeros(3)))
        elif isinstance(item, h5py.Dataset):
            name, values = item.name, np.asarray(item[()])
            odd = np.asarray(rng.choice((np.nan, np.inf, 1e30, -2, 0)))
            made: Any = {
                2: lambda: values.astype(rng.choice(("f8", "i4", "S3", "f4"))),
                3: lambda: values[: len(values) // 2] if values.ndim else values,
                4: lambda: np.full_like(values, odd.astype(values.dtype)) if values.dtype.kind in "fib" else values,
                5: lambda: values[..., None],
            }.get(way, lambda: "text")()
            del file[name]
            file[name] = made
    return buffer.getvalue()


def _words(content: bytes, rng: Random) -> bytes:
    """Change a gin file by lines and words."""
    lines = content.decode().splitlines()
    at = rng.randrange(len(lines))
    name, equals, value = lines[at].partition("=")
    odd = rng.choice(GIN)
    way = rng.randrange(7)
    if way == 0:
        lines.insert(at, rng.choice(LINES))
    elif way == 1:
        del lines[at]
    elif way == 2:
        lines.insert(at, lines[rng.randrange(len(lines))])
    elif way == 3:
        lines[at] = f"{name}= {odd}({value})"
    elif way == 4:
        lines[at] = f"{odd}{equals}{value}"
    elif way == 5:
        lines[at] = lines[at].replace(
            rng.choice((".", "=", "@", "(", " ")), rng.choice(("", "/", "..", "%", "\x00")), 1
        )
    else:
        lines[at] = f"{name}= {odd}"
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


GIN = (
    *("1", "-1", "1e999", "None", "True", "'text'", "()", "[]", "{}", "(1, 2)", "[[]]", "{1: 2}", "b'x'", "1j", "..."),
    *(
        "@encoders.focal()",
        "@encoders.focal",
        "@gin.macro()",
        "@gin.singleton()",
        "@a/encoders.focal()",
        "@os.system()",
    ),
    *("%LATENT_DIM", "%nothing", "%gin.REQUIRED", "%a/b", "@experiment()", "@data()", "@selectrl.cli.main()"),
    *("__import__('os')", "lambda: 0", "open('x')", "f'{1}'", "1 + 1", "'../../x'", "'/tmp/x'", "'a' 'b'", '"""x"""'),
    *(str(edge) for edge in (*EDGES, 10**400)),
    *("(" * depth + ")" * depth for depth in (50, 95, 150, 1000, 3000)),
    *("[" * depth + "1," + "]" * depth for depth in (50, 95, 150, 300, 1000)),
    "9" * 5000,
)
LINES = (
    *("import os", "from os import system", "include '/etc/passwd'", "include 'methods/focal.gin'", "import __main__"),
    *("from __gin__ import dynamic_registration", "encoders.csro:", "encoders.csro:\n  latent_dim = 3", "  x = 1"),
    *(
        "a/b/c.d = 1",
        "gin.REQUIRED = 1",
        "macro.value = 1",
        "X/macro.value = 1",
        "A = %A",
        "A = %B\nB = %A",
        "\tx",
        "\\",
    ),
    *(
        "experiment.encoder = @encoders.focal()",
        "__import__('os').system('true')",
        "x = 'open",
        'x = """',
        "x = (",
        "\ufeff",
    ),
)
