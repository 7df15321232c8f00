"""Transactions of code that blocks: what its own thread alone can find.

Django's ``connection`` and SQLAlchemy's ``scoped_session`` stand for what belongs to the calling thread, or to the request that
it serves. The engine runs on a thread of its own, so they are asked before. All else is as it was handed over.
"""

from __future__ import annotations

import sys
from typing import Any


def of_this_thread(transaction: Any) -> Any:
    """Return what a thread's proxy stands for, and anything else as it is.

    Args:
        transaction: what the caller has handed over.
    """
    proxy = getattr(sys.modules.get("django.utils.connection"), "ConnectionProxy", None)
    if proxy is not None and isinstance(transaction, proxy):
        handler, alias = transaction._connections, transaction._alias  # noqa: SLF001  (no method returns them)
        return handler[alias]
    scoped = getattr(sys.modules.get("sqlalchemy.orm"), "scoped_session", None)
    if scoped is not None and isinstance(transaction, scoped):
        return transaction()
    return transaction
