"""The sagas. A transfer is ``debit → screen`` beside ``reserve``, then the pivot ``credit``, then ``book`` and ``notify``."""

from __future__ import annotations

from dataclasses import dataclass

from goconductor import Saga


@dataclass(frozen=True)
class Transfer:
    payer: str
    payee: str
    amount: int


@dataclass(frozen=True)
class Withdrawal:
    amount: int
    approved: bool


transfer = Saga("transfer", input=Transfer)
_given = {"payee": transfer.input.payee, "amount": transfer.input.amount}
_debit = transfer.step("bank-a.debit", inputs={"payer": transfer.input.payer, "amount": transfer.input.amount})
_screen = transfer.step("ledger.screen", after=[_debit])
_reserve = transfer.step("bank-b.reserve", inputs=_given)
_credit = transfer.step("bank-b.credit", inputs=_given, after=[_screen, _reserve], pivot=True)
_book = transfer.step("ledger.book", inputs={"amount": transfer.input.amount}, after=[_credit])
transfer.step("ledger.notify", after=[_book])

TRANSACTIONAL = frozenset({"bank-a.debit", "bank-b.reserve", "bank-b.credit", "ledger.screen", "ledger.book"})

withdrawal = Saga("withdrawal", input=Withdrawal)
_withdrawn = withdrawal.step("crashing.debit", inputs={"amount": withdrawal.input.amount})
withdrawal.step("crashing.approve", inputs={"approved": withdrawal.input.approved}, after=[_withdrawn])
