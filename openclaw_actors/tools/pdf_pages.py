"""A program of its own: prints the text of some pages of a PDF file, each followed by a form feed, as pdftotext does.

    python pdf_pages.py FILE FIRST LAST

It stands for itself, so that it is run without the gateway's code around it. Exit codes: 0 done, 1 it is no PDF that
can be read, 2 there is no such page; why, stands on stderr.
"""

from __future__ import annotations

__all__: list[str] = []

import logging
import sys

from pypdf import PdfReader
from pypdf.errors import PyPdfError


def _main(path: str, first: int, last: int) -> int:
    logging.disable()  # what is odd about a file is not what was asked
    try:
        reader = PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            sys.stderr.write("it is encrypted")
            return 1
        count = len(reader.pages)
        if first > count:
            sys.stderr.write(f"it has {count} pages")
            return 2
        for number in range(first - 1, min(last, count)):
            text = reader.pages[number].extract_text().replace("\f", " ")
            sys.stdout.buffer.write(text.encode(errors="replace") + b"\n\f")
    except (PyPdfError, OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        # A damaged file breaks the library in more ways than it has errors for.
        sys.stderr.write(f"{type(error).__name__}: {error}")
        return 1
    except (RecursionError, MemoryError) as error:
        sys.stderr.write(type(error).__name__)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
