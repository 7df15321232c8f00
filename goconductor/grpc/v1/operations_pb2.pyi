import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from goconductor.grpc.v1 import values_pb2 as _values_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListParticipantsRequest(_message.Message):
    __slots__ = ("dead_seconds",)
    DEAD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    dead_seconds: float
    def __init__(self, dead_seconds: _Optional[float] = ...) -> None: ...

class ListLocksRequest(_message.Message):
    __slots__ = ("key", "after", "limit", "saga_id")
    KEY_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    key: str
    after: str
    limit: int
    saga_id: str
    def __init__(self, key: _Optional[str] = ..., after: _Optional[str] = ..., limit: _Optional[int] = ..., saga_id: _Optional[str] = ...) -> None: ...

class LockDetail(_message.Message):
    __slots__ = ("key", "saga_id", "mode", "held", "number", "since", "status")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    key: str
    saga_id: str
    mode: str
    held: bool
    number: int
    since: _timestamp_pb2.Timestamp
    status: str
    def __init__(self, key: _Optional[str] = ..., saga_id: _Optional[str] = ..., mode: _Optional[str] = ..., held: bool = ..., number: _Optional[int] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., status: _Optional[str] = ...) -> None: ...

class LockPage(_message.Message):
    __slots__ = ("locks", "after")
    LOCKS_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    locks: _containers.RepeatedCompositeFieldContainer[LockDetail]
    after: str
    def __init__(self, locks: _Optional[_Iterable[_Union[LockDetail, _Mapping]]] = ..., after: _Optional[str] = ...) -> None: ...

class ListDeadLettersRequest(_message.Message):
    __slots__ = ("limit", "before")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    limit: int
    before: int
    def __init__(self, limit: _Optional[int] = ..., before: _Optional[int] = ...) -> None: ...

class RedriveDeadLetterRequest(_message.Message):
    __slots__ = ("letter_id", "by")
    LETTER_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    letter_id: int
    by: str
    def __init__(self, letter_id: _Optional[int] = ..., by: _Optional[str] = ...) -> None: ...

class DropDeadLetterRequest(_message.Message):
    __slots__ = ("letter_id", "reason", "by")
    LETTER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    letter_id: int
    reason: str
    by: str
    def __init__(self, letter_id: _Optional[int] = ..., reason: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class GetChoiceRequest(_message.Message):
    __slots__ = ("kind",)
    KIND_FIELD_NUMBER: _ClassVar[int]
    kind: str
    def __init__(self, kind: _Optional[str] = ...) -> None: ...

class MigrateRequest(_message.Message):
    __slots__ = ("kind", "to", "by", "drain_seconds", "force")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    DRAIN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    to: str
    by: str
    drain_seconds: float
    force: bool
    def __init__(self, kind: _Optional[str] = ..., to: _Optional[str] = ..., by: _Optional[str] = ..., drain_seconds: _Optional[float] = ..., force: bool = ...) -> None: ...

class Readiness(_message.Message):
    __slots__ = ("ready", "parts")
    class PartsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    READY_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    ready: bool
    parts: _containers.ScalarMap[str, str]
    def __init__(self, ready: bool = ..., parts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class InstanceDetail(_message.Message):
    __slots__ = ("serial", "name", "alive", "started_at", "heard_at", "dead_at", "leases", "lease_ends_at", "steps")
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    HEARD_AT_FIELD_NUMBER: _ClassVar[int]
    DEAD_AT_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    LEASE_ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    serial: int
    name: str
    alive: bool
    started_at: _timestamp_pb2.Timestamp
    heard_at: _timestamp_pb2.Timestamp
    dead_at: _timestamp_pb2.Timestamp
    leases: int
    lease_ends_at: _timestamp_pb2.Timestamp
    steps: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, serial: _Optional[int] = ..., name: _Optional[str] = ..., alive: bool = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., heard_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., dead_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., leases: _Optional[int] = ..., lease_ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., steps: _Optional[_Iterable[str]] = ...) -> None: ...

class ParticipantDetail(_message.Message):
    __slots__ = ("participant", "alive", "leases", "steps", "instances")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    participant: str
    alive: int
    leases: int
    steps: _containers.RepeatedScalarFieldContainer[str]
    instances: _containers.RepeatedCompositeFieldContainer[InstanceDetail]
    def __init__(self, participant: _Optional[str] = ..., alive: _Optional[int] = ..., leases: _Optional[int] = ..., steps: _Optional[_Iterable[str]] = ..., instances: _Optional[_Iterable[_Union[InstanceDetail, _Mapping]]] = ...) -> None: ...

class ParticipantList(_message.Message):
    __slots__ = ("participants",)
    PARTICIPANTS_FIELD_NUMBER: _ClassVar[int]
    participants: _containers.RepeatedCompositeFieldContainer[ParticipantDetail]
    def __init__(self, participants: _Optional[_Iterable[_Union[ParticipantDetail, _Mapping]]] = ...) -> None: ...

class SweepDetail(_message.Message):
    __slots__ = ("at", "epoch", "did")
    class DidEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    AT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    DID_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    epoch: int
    did: _containers.ScalarMap[str, int]
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., epoch: _Optional[int] = ..., did: _Optional[_Mapping[str, int]] = ...) -> None: ...

class LeaderDetail(_message.Message):
    __slots__ = ("holder", "epoch", "ends_at", "last_sweep")
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_SWEEP_FIELD_NUMBER: _ClassVar[int]
    holder: str
    epoch: int
    ends_at: _timestamp_pb2.Timestamp
    last_sweep: SweepDetail
    def __init__(self, holder: _Optional[str] = ..., epoch: _Optional[int] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_sweep: _Optional[_Union[SweepDetail, _Mapping]] = ...) -> None: ...

class ProcessDetail(_message.Message):
    __slots__ = ("serial", "participant", "name", "names", "uses", "number", "problem")
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    serial: int
    participant: str
    name: str
    names: _containers.RepeatedScalarFieldContainer[str]
    uses: str
    number: int
    problem: str
    def __init__(self, serial: _Optional[int] = ..., participant: _Optional[str] = ..., name: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., uses: _Optional[str] = ..., number: _Optional[int] = ..., problem: _Optional[str] = ...) -> None: ...

class ChangeDetail(_message.Message):
    __slots__ = ("kind", "chosen", "beside", "phase", "number", "since", "by", "done", "waits_for", "left_behind", "instances")
    KIND_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    BESIDE_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    LEFT_BEHIND_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    kind: str
    chosen: str
    beside: str
    phase: str
    number: int
    since: _timestamp_pb2.Timestamp
    by: str
    done: bool
    waits_for: _containers.RepeatedScalarFieldContainer[str]
    left_behind: _containers.RepeatedScalarFieldContainer[str]
    instances: _containers.RepeatedCompositeFieldContainer[ProcessDetail]
    def __init__(self, kind: _Optional[str] = ..., chosen: _Optional[str] = ..., beside: _Optional[str] = ..., phase: _Optional[str] = ..., number: _Optional[int] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., by: _Optional[str] = ..., done: bool = ..., waits_for: _Optional[_Iterable[str]] = ..., left_behind: _Optional[_Iterable[str]] = ..., instances: _Optional[_Iterable[_Union[ProcessDetail, _Mapping]]] = ...) -> None: ...

class DeadLetterDetail(_message.Message):
    __slots__ = ("letter_id", "topic", "reason", "at", "headers", "bytes", "text", "saga_id")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    LETTER_ID_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    letter_id: int
    topic: str
    reason: str
    at: _timestamp_pb2.Timestamp
    headers: _containers.ScalarMap[str, str]
    bytes: int
    text: str
    saga_id: str
    def __init__(self, letter_id: _Optional[int] = ..., topic: _Optional[str] = ..., reason: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., headers: _Optional[_Mapping[str, str]] = ..., bytes: _Optional[int] = ..., text: _Optional[str] = ..., saga_id: _Optional[str] = ...) -> None: ...

class DeadLetterPage(_message.Message):
    __slots__ = ("letters", "before")
    LETTERS_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    letters: _containers.RepeatedCompositeFieldContainer[DeadLetterDetail]
    before: int
    def __init__(self, letters: _Optional[_Iterable[_Union[DeadLetterDetail, _Mapping]]] = ..., before: _Optional[int] = ...) -> None: ...

class ListAuditRequest(_message.Message):
    __slots__ = ("by", "function", "about", "outcome", "since", "until", "before", "limit")
    BY_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    by: str
    function: str
    about: str
    outcome: str
    since: str
    until: str
    before: int
    limit: int
    def __init__(self, by: _Optional[str] = ..., function: _Optional[str] = ..., about: _Optional[str] = ..., outcome: _Optional[str] = ..., since: _Optional[str] = ..., until: _Optional[str] = ..., before: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class AuditEntry(_message.Message):
    __slots__ = ("id", "at", "namespace", "actor", "roles", "means", "door", "address", "function", "object", "detail", "request_id", "outcome", "problem", "left_out", "seq", "hash")
    ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    MEANS_FIELD_NUMBER: _ClassVar[int]
    DOOR_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    id: int
    at: _timestamp_pb2.Timestamp
    namespace: str
    actor: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    means: str
    door: str
    address: str
    function: str
    object: str
    detail: str
    request_id: str
    outcome: str
    problem: str
    left_out: int
    seq: int
    hash: str
    def __init__(self, id: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., namespace: _Optional[str] = ..., actor: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., means: _Optional[str] = ..., door: _Optional[str] = ..., address: _Optional[str] = ..., function: _Optional[str] = ..., object: _Optional[str] = ..., detail: _Optional[str] = ..., request_id: _Optional[str] = ..., outcome: _Optional[str] = ..., problem: _Optional[str] = ..., left_out: _Optional[int] = ..., seq: _Optional[int] = ..., hash: _Optional[str] = ...) -> None: ...

class AuditPage(_message.Message):
    __slots__ = ("entries", "before")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[AuditEntry]
    before: int
    def __init__(self, entries: _Optional[_Iterable[_Union[AuditEntry, _Mapping]]] = ..., before: _Optional[int] = ...) -> None: ...

class VerifyAuditRequest(_message.Message):
    __slots__ = ("against",)
    AGAINST_FIELD_NUMBER: _ClassVar[int]
    against: str
    def __init__(self, against: _Optional[str] = ...) -> None: ...

class AuditProof(_message.Message):
    __slots__ = ("sound", "rows", "first_seq", "head_seq", "head", "broken_at", "problem", "unplaced")
    SOUND_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    HEAD_SEQ_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    BROKEN_AT_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    UNPLACED_FIELD_NUMBER: _ClassVar[int]
    sound: bool
    rows: int
    first_seq: int
    head_seq: int
    head: str
    broken_at: int
    problem: str
    unplaced: int
    def __init__(self, sound: bool = ..., rows: _Optional[int] = ..., first_seq: _Optional[int] = ..., head_seq: _Optional[int] = ..., head: _Optional[str] = ..., broken_at: _Optional[int] = ..., problem: _Optional[str] = ..., unplaced: _Optional[int] = ...) -> None: ...
