"""Texts as 127 bits: SipHash-1-3 in its form of 128 bits, compiled.

The state draws its own key, so that nobody who chooses an id (a browser's name, a network's) can aim at a place of its
table. Of a billion texts two share a digest with a chance of less than one in 10**20. After Aumasson and Bernstein,
SipHash: a fast short-input PRF (2012), with one round a word and three at the end, as in Python's own dictionaries.
"""

# mypy: disable-error-code="no-any-return, arg-type, return-value, assignment"
# To mypy an element of an array is a numpy scalar; to the compiler it is an integer like any other.

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.kernel import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray


@compiled
def _round(a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    a += b
    b = (b << np.uint64(13)) | (b >> np.uint64(51))
    b ^= a
    a = (a << np.uint64(32)) | (a >> np.uint64(32))
    c += d
    d = (d << np.uint64(16)) | (d >> np.uint64(48))
    d ^= c
    a += d
    d = (d << np.uint64(21)) | (d >> np.uint64(43))
    d ^= a
    c += b
    b = (b << np.uint64(17)) | (b >> np.uint64(47))
    b ^= c
    c = (c << np.uint64(32)) | (c >> np.uint64(32))
    return a, b, c, d


@compiled
def digest(text: NDArray[np.uint8], start: int, stop: int, key: int, tag: int) -> tuple[int, int]:
    """Two integers for the bytes from ``start`` to ``stop``, the first odd; a tag keeps columns apart."""
    one, other = np.uint64(key), np.uint64(tag) * np.uint64(0x9E3779B97F4A7C15)
    a, b = one ^ np.uint64(0x736F6D6570736575), other ^ np.uint64(0x646F72616E646F6D) ^ np.uint64(0xEE)
    c, d = one ^ np.uint64(0x6C7967656E657261), other ^ np.uint64(0x7465646279746573)
    place = start
    while place + 8 <= stop:
        word = np.uint64(0)
        for byte in range(8):
            word |= np.uint64(text[place + byte]) << np.uint64(8 * byte)
        d ^= word
        a, b, c, d = _round(a, b, c, d)
        a ^= word
        place += 8
    word = np.uint64(stop - start) << np.uint64(56)
    for byte in range(stop - place):
        word |= np.uint64(text[place + byte]) << np.uint64(8 * byte)
    d ^= word
    a, b, c, d = _round(a, b, c, d)
    a ^= word
    c ^= np.uint64(0xEE)
    for _ in range(3):
        a, b, c, d = _round(a, b, c, d)
    high = a ^ b ^ c ^ d
    b ^= np.uint64(0xDD)
    for _ in range(3):
        a, b, c, d = _round(a, b, c, d)
    return np.int64(high | np.uint64(1)), np.int64(a ^ b ^ c ^ d)
