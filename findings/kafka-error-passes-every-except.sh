#!/bin/sh
# confluent-kafka: an error that a delivery report brings, raised, passes `except Exception` and `except BaseException`.
#
# Versions: confluent-kafka 2.16.1 with librdkafka 2.16.0, CPython 3.11.7 on Linux x86-64.
# Behaviour: `KafkaError`, which delivery reports and Message.error() bring, derives from object alone, not from BaseException. The type
#   has the interpreter's flag for exceptions all the same, so `raise err` works, but only `except KafkaError` and a bare `except:` catch
#   it. What poll() and flush() hand on from a callback that does `raise err` does too. (`KafkaException` is an ordinary exception.)
# Source: the type's own flags and base, printed below, and the run.
# Why it matters to people who run sagas: an outbox relay or a participant that raises what its delivery report brought loses its thread
#   past the handler that was to log it, retry it or compensate. Raise KafkaException(err) instead, or catch KafkaError by name.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check confluent-kafka==2.16.1
"$folder/venv/bin/python" - <<'PROGRAM'
import platform

import confluent_kafka as kafka

print("CPython", platform.python_version(), "confluent-kafka", kafka.__version__, "librdkafka", kafka.libversion()[0])
print("flag for exceptions:", bool(kafka.KafkaError.__flags__ & 1 << 30), "- base:", kafka.KafkaError.__base__.__name__)
reports = []
# nobody listens there, so the report brings an error after a second
producer = kafka.Producer({"bootstrap.servers": "127.0.0.1:9", "message.timeout.ms": 1000, "log_level": 0})
producer.produce("orders", b"{}", on_delivery=lambda error, message: reports.append(error))
producer.flush(60)
(report,) = reports


def caught_by(kind):
    try:
        try:
            raise report
        except kind:
            return True
    except:  # noqa: E722
        return False


seen = {kind.__name__: caught_by(kind) for kind in (Exception, BaseException, kafka.KafkaException, kafka.KafkaError)}
print("a KafkaError that is raised is caught by", seen)


def raises(error, message):
    raise error


producer.produce("orders", b"{}", on_delivery=raises)
try:
    try:
        producer.flush(60)
        from_flush = "nothing"
    except BaseException:
        from_flush = "caught by BaseException"
except:  # noqa: E722
    from_flush = "caught by a bare except alone"
print("flush() hands on what its callback raised:", from_flush)
expected = {"Exception": False, "BaseException": False, "KafkaException": False, "KafkaError": True}
assert seen == expected and from_flush == "caught by a bare except alone", "this has changed: look again"
PROGRAM
echo "as described"
