"""Steps that need no worker: a participant of our own, named ``system``, whose steps call what is outside.

::

    steps:
      - id: order
        run: system.http
        inputs:
          url: {value: "https://api.example.com/customers/{customer}/orders"}
          customer: {ref: $.input.customer}
          body: {ref: $.input.order}

The engine knows nothing of it. It is a participant like any other, hosted by processes whose settings say so. A definition names
its steps as it names everybody's. Only the checks of definitions know what these steps take.

**Who is trusted.** Whoever writes a definition decides whom a step calls: the URL is a constant, and its host has no
placeholder. Whoever starts a saga gives values only. Whoever writes the settings decides what can be reached at all, and which
secret may go to which host. So a definition names secrets and never has their values, and a saga's data can neither choose a
host nor name a secret.

**What is promised.** A call is made at least once, each time under the same idempotency key. Whether it takes effect once is up
to the other side, which gets the key in a header.
"""
