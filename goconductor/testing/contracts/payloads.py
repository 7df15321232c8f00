"""What a bus must not touch."""

SENSITIVE = (
    b'{"note":"x","a":1,"Z":{"b":1,"a":2}}',
    b'{ "spaced" : [ 1,2 ] }\n',
    b'{"zero":-0.0,"one":1.0}',
    b'{"float":1e16,"more":1.0E+22,"exact":0.1000000000000000055511151231257827}',
    b'{"integer":123456789012345678901234567890,"limit":9223372036854775807}',
    b'{"small":5e-324,"minus":-1e-7,"zero":0e0}',
    b'{"twice":1,"twice":2}',
    b'{"text":"\\u00fc \xc3\xbc \\/"}',
)
"""JSON that is not the same bytes after a reader has written it again: order, spaces, numbers, escapes.

A step that is tried again under its idempotency key must be given the same bytes, in whichever process it runs.
"""
