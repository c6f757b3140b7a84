"""Changes to files: of bytes, of words in text, and of values in a tree of plain data."""

import re
import struct
from typing import Any

import numpy as np

WHOLE = (0, 1, 2, 7, 255, 256, 32767, 65535, 2**31 - 1, 2**32 - 1, 2**53, 2**63 - 1, 2**64, -1, -(2**31))  # fmt: skip
REAL = (0.0, -0.0, 1e-320, 1e-40, 1e30, 1e300, float("inf"), float("-inf"), float("nan"), 0.5, -3.7)
WORDS = ("", " ", "nan", "inf", "-1", "0", "1e999", "1e3", "012", "12:30", "[", "]", "{", "}", "null", "true", "é", "日本", "\x00", "\x1b[31m", "x" * 5000, "9" * 400, "../../x", "%s", "~", "- -", "!!python/name:os.system")  # fmt: skip


def one_of(rng: np.random.Generator, choices: Any) -> Any:
    """Any of the choices."""
    return choices[int(rng.integers(len(choices)))]


def change_bytes(rng: np.random.Generator, data: bytes, head: int | None = None) -> bytes:
    """Change, insert, remove or cut bytes; mostly among the first `head`."""
    changed = bytearray(data or b"\0")
    for _ in range(int(one_of(rng, (1, 1, 1, 2, 4, 16)))):
        end = len(changed)
        if head is not None and rng.random() < 0.8:
            end = min(end, head)
        place, size = int(rng.integers(end)), int(one_of(rng, (1, 2, 4, 8, 64)))
        kind = rng.integers(7)
        if kind == 0:
            changed[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            number = _number(rng)
            changed[place : place + len(number)] = number
        elif kind == 2:
            changed[place : place + size] = bytes(size)
        elif kind == 3:
            changed[place:place] = rng.bytes(size)
        elif kind == 4:
            del changed[place : place + size]
        elif kind == 5:
            changed[place:place] = changed[place : place + size]
        else:
            del changed[place:]
        if not changed:
            return b""
    return bytes(changed)


def change_text(rng: np.random.Generator, text: str) -> str:
    """Replace, remove, repeat or swap words."""
    for _ in range(int(one_of(rng, (1, 1, 2, 4)))):
        words = re.split(r"(\s+|[,;:=\[\]{}<>\"'#])", text)
        place = int(rng.integers(len(words)))
        kind = rng.integers(6)
        if kind == 0:
            del words[place]
        elif kind == 1:
            words[place] = str(one_of(rng, WORDS))
        elif kind == 2:
            words[place] = str(one_of(rng, (*WHOLE, *REAL)))
        elif kind == 3:
            words[place] = one_of(rng, words)
        elif kind == 4:
            words[place:place] = words[place : place + int(rng.integers(1, 30))]
        else:
            words = words[:place]
        text = "".join(words)
    return text


def change_tree(rng: np.random.Generator, tree: Any) -> Any:
    """Replace, remove or add something in nested dictionaries and lists."""
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.05:
        return odd_value(rng)
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    key = one_of(rng, keys)
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    kind = rng.integers(8)
    if kind == 0:
        del copy[key]
    elif kind == 1 and isinstance(copy, dict):
        copy[str(one_of(rng, WORDS))] = odd_value(rng)
    elif kind == 1:
        copy.insert(key, odd_value(rng))
    elif kind == 2:
        copy[key] = tree[one_of(rng, keys)]
    elif kind == 3:
        copy[key] = odd_value(rng)
    else:
        copy[key] = change_tree(rng, tree[key])
    return copy


def odd_value(rng: np.random.Generator) -> Any:
    """A value of any type, often at the edge of what it can be."""
    deep: Any = 1
    for _ in range(int(one_of(rng, (1, 5, 50)))):
        deep = [deep]
    return one_of(
        rng,
        (
            one_of(rng, WHOLE), one_of(rng, REAL), one_of(rng, WORDS), None, True, False, [], {}, deep,
            {"a": one_of(rng, REAL)}, [one_of(rng, REAL)] * 3, [[1, 2], [3]], list(range(100)),
        ),
    )  # fmt: skip


def _number(rng: np.random.Generator) -> bytes:
    if rng.random() < 0.5:
        form = one_of(rng, ("<d", "<f", ">d", ">f"))
        value = one_of(rng, REAL)
        if form[1] == "f" and abs(value) > 3e38:
            value = float("inf")
        return struct.pack(form, value)
    width = int(one_of(rng, (2, 4, 8)))
    value = int(one_of(rng, WHOLE)) % 2 ** (8 * width)
    return value.to_bytes(width, one_of(rng, ("little", "big")))
