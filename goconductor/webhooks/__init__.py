"""Webhooks: the ends of sagas, told to endpoints over HTTP (Standard Webhooks 1.0.0).

The leader follows the order of all events and puts what an endpoint wants into that endpoint's queue, together with its own
place in the order (:mod:`.queueing`). Beside that it empties the queues (:mod:`.sending`), each at its own pace: an endpoint that
is slow or away holds up neither the others nor the order.
"""
