"""The saga: what belongs to an order, over three services.

::

    reserve ── gift ──┐                    ┌── ship
                      ├── confirm (pivot) ─┤
    charge ───────────┘                    └── thank

Before the pivot every step can be compensated; after it every step is retried until it succeeds. Steps of other services are
given by name, so this file needs none of their code. ``order.input.id`` and ``charged.output`` are places, not values: they
become references in a document that is stored in the database, and any participant can decide by it.
"""

from dataclasses import dataclass

from goconductor import Saga


@dataclass
class Order:
    id: str
    customer: str
    sku: str
    pieces: int
    cents: int


order = Saga("order", input=Order)

reserved = order.step(
    "inventory.reserve",
    inputs={"order_id": order.input.id, "sku": order.input.sku, "pieces": order.input.pieces},
)
gift = order.step(
    "inventory.reserve",
    id="gift",
    inputs={"order_id": order.input.id, "sku": "gift", "pieces": 1},
    when="input.cents > 10000",
    after=[reserved],
)
charged = order.step(
    "payments.charge",
    inputs={"order_id": order.input.id, "customer": order.input.customer, "cents": order.input.cents},
)
confirmed = order.step(
    "orders.confirm",
    inputs={"order_id": order.input.id, "cents": charged.output.cents, "ledger_entry": charged.output.entry},
    after=[reserved, gift],
    pivot=True,
)
order.step("inventory.ship", inputs={"order_id": order.input.id}, after=[confirmed])
order.step("orders.thank", inputs={"customer": order.input.customer, "invoice": confirmed.output})
order.returns(confirmed.output)
