"""Puts the certificates of a time-stamp's answer into the order that DER asks for.

OpenSSL, and authorities built on it, send their chain as it is configured, and `openssl ts -verify` takes it;
the library that reads stamps here takes DER alone. The signature does not cover the certificates (RFC 5652,
5.1), and what is moved keeps its length, so nothing else changes.
"""

from __future__ import annotations

from collections.abc import Iterator

_SEQUENCE, _TAGGED = 0x30, 0xA0


def certificates_in_order(answer: bytes) -> bytes:
    """The answer with its certificates sorted; anything that is no such answer as it is."""
    try:
        begin, end = _certificates(answer)
        found = [answer[first:last] for first, _, last in _elements(answer, begin, end)]
    except (IndexError, StopIteration, ValueError):
        return answer
    return answer[:begin] + b"".join(sorted(found)) + answer[end:]


def _certificates(answer: bytes) -> tuple[int, int]:
    """The place and the end of the certificates in a TimeStampResp (RFC 3161), whose token is of RFC 5652."""
    response = _content(answer, 0, _SEQUENCE)
    _status, token, *_ = _elements(answer, *response)
    _kind, content, *_ = _elements(answer, *_content(answer, token[0], _SEQUENCE))
    [signed] = _elements(answer, *_content(answer, content[0], _TAGGED))
    _version, _digests, _stamped, certificates, *_ = _elements(
        answer, *_content(answer, signed[0], _SEQUENCE)
    )
    return _content(answer, certificates[0], _TAGGED)


def _content(der: bytes, at: int, tag: int) -> tuple[int, int]:
    """The place and the end of an element's content; ValueError when the element has another tag."""
    if der[at] != tag:
        raise ValueError(f"tag {der[at]:#x} in place of {tag:#x}")
    _, begin, end = next(_elements(der, at, len(der)))
    return begin, end


def _elements(der: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Each element's place, where its content begins, and its end."""
    while at < end:
        length, begin = der[at + 1], at + 2
        if length & 0x80:
            begin += length & 0x7F
            length = int.from_bytes(der[at + 2 : begin], "big")
        if begin + length > end:
            raise ValueError("an element is longer than what holds it")
        yield at, begin, begin + length
        at = begin + length
