"""Loggers whose records carry no password, whatever formats them.

A record may quote an exception of somebody else's, and that may quote a url with its password. A program may log by
``logging.basicConfig``, or by a formatter of its own. So it is each logger of this package that hides passwords, by a filter that
``dictConfig`` leaves in place.
"""

from __future__ import annotations

import logging
import traceback

from goconductor.errors import without_passwords


def logger_of(name: str) -> logging.Logger:
    """Return the logger of that name, with passwords hidden in its records.

    Args:
        name: the logger's name, ``goconductor.…``.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_REDACTION)  # adding it again does nothing
    return logger


class Redaction(logging.Filter):
    """Lets every record pass, and hides the passwords of urls in its text, its exception and its stack."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record only where it has a password."""
        text = _message(record)
        if (clean := without_passwords(text)) != text:
            record.msg, record.args = clean, ()
        if record.stack_info:
            record.stack_info = without_passwords(record.stack_info)
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            text = _traceback(error)
            if (clean := without_passwords(text)) != text:
                record.exc_text = clean  # what formatters print that do not format the exception themselves
                shown = _stand_in(error, clean)
                record.exc_info = (type(shown), shown, None)
        return True


_REDACTION = Redaction()


def _message(record: logging.LogRecord) -> str:
    """Return the record's text. Its arguments may be user code's, whose text is not always available."""
    try:
        return record.getMessage()
    except Exception as broken:  # noqa: BLE001
        record.msg, record.args = f"{record.msg} (its arguments cannot be shown: {type(broken).__name__})", ()
        return record.getMessage()


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error)).rstrip("\n")
    except Exception:  # noqa: BLE001  (user code's text, or its source's loader)
        return ""  # the formatter meets the same


def _stand_in(error: BaseException, shown: str) -> Exception:
    """Return an exception of the same name without the password: its text, and the traceback as a note.

    It has no traceback of its own, as that shows lines of source.
    """
    kind = type(error)
    stands_in = type(kind.__name__, (Exception,), {"__module__": kind.__module__, "__qualname__": kind.__qualname__})
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001  (user code's)
        text = f"(its text cannot be had: {type(broken).__name__})"
    instead: Exception = stands_in(without_passwords(text))
    instead.add_note(shown)
    return instead
