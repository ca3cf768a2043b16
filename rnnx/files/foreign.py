"""Recognises what people name by mistake: documents that are no text, and addresses. Standard library only."""

from __future__ import annotations

# The first bytes of files that are neither a text nor a table, and what they are.
_MARKS = (
    (b"\x93NUMPY", "a NumPy array"),
    (b"PK\x03\x04", "an archive, or a document such as .docx"),
    (b"%PDF-", "a PDF"),
    (b"{\\rtf", "a document in RTF"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Word or Excel in an old format"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"\x1f\x8b", "a packed file (.gz)"),
)
_ALL_MARKS = tuple(mark for mark, _ in _MARKS)


def name_document(head: bytes) -> str | None:
    """Says what a file is, by its first bytes, if it is neither a text nor a table; None if it may be one."""
    if not head.startswith(_ALL_MARKS):  # nearly always, and a line of a file is asked too
        return None
    return next(what for mark, what in _MARKS if head.startswith(mark))


def is_address(name: str) -> bool:
    """Whether a name is an address of the web, which rnnx does not open."""
    return name.lower().startswith(("http://", "https://", "ftp://"))
