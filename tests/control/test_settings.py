"""Settings: one file and the environment; whatever is wrong is told at once, with its place and the remedy."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from goconductor.control.settings.settings import Settings, names, variable
from goconductor.errors import ConfigurationError

CANARY = "hunter2-canary"
URL = f"postgresql://app:{CANARY}@db.example:5432/sagas"
NO_URL = (
    "should look like postgresql://user:password@host:port/database, with '@', '/', ':' and other special characters "
    "of user and password written as %40, %2F, %3A …"
)
FILE = f"database:\n  url: {URL}\n"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "goconductor.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(path: Path | None, environ: dict[str, str] | None = None) -> list[str]:
    """The problems, one per line."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(path, environ or {})
    message = str(caught.value)
    assert CANARY not in message
    assert CANARY not in repr(caught.value)
    first, *lines = message.splitlines()
    assert first == "the settings cannot be used:"
    assert [line.split(".")[0].strip() for line in lines] == [str(number) for number in range(1, len(lines) + 1)]
    return [line.split(". ", 1)[1] for line in lines]


def test_a_file_gives_what_it_says_and_defaults_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path, f"{FILE}rest:\n  port: 9000\nbus:\n  options:\n    poll_interval_seconds: 0.5\nlog:\n")
    settings = Settings.load(path, {})
    assert settings.database.url.get_secret_value() == URL
    assert (settings.rest.host, settings.rest.port, settings.rest.insecure) == ("127.0.0.1", 9000, False)
    assert settings.bus.options == {"poll_interval_seconds": 0.5}
    assert (settings.bus.kind, settings.election.kind, settings.bus.url) == ("postgres", "postgres", None)
    assert (settings.participant.lease_seconds, settings.recovery.term_seconds) == (10.0, 5.0)
    assert (settings.limits.payload_bytes_max, settings.limits.baton_bytes_max) == (1024 * 1024, 16 * 1024)


def test_the_environment_is_enough() -> None:
    assert Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": URL}).database.url.get_secret_value() == URL


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, f"{FILE}rest: {{port: 9000}}\nbus: {{options: {{a: 1, b: 2}}}}\n")
    environ = {
        "GOCONDUCTOR_REST_PORT": "9001",
        "GOCONDUCTOR_PARTICIPANT__CONCURRENCY": "7",
        "GOCONDUCTOR_REST__INSECURE": "true",
        "GOCONDUCTOR_BUS__OPTIONS__POLL_INTERVAL_SECONDS": "0.25",
        "GOCONDUCTOR_BUS_OPTIONS__B": "x",
        "GOCONDUCTOR_ELECTION_OPTIONS": "{prefix: /sagas}",
    }
    settings = Settings.load(path, environ)
    assert (settings.rest.port, settings.participant.concurrency, settings.rest.insecure) == (9001, 7, True)
    assert settings.bus.options == {"a": 1, "b": "x", "poll_interval_seconds": 0.25}
    assert settings.election.options == {"prefix": "/sagas"}


def test_the_file_is_named_by_argument_by_variable_or_lies_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, f"{FILE}rest: {{port: 1}}")
    (tmp_path / "two.yaml").write_text(f"{FILE}rest: {{port: 2}}")
    (tmp_path / "three.yaml").write_text(f"{FILE}rest: {{port: 3}}")
    environ = {"GOCONDUCTOR_CONFIG": str(tmp_path / "two.yaml")}
    assert Settings.load(None, {}).rest.port == 1
    assert Settings.load(None, environ).rest.port == 2
    assert Settings.load("three.yaml", environ).rest.port == 3


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path / "none.yaml")
    assert problem == f"{tmp_path}/none.yaml: cannot be read (No such file or directory); correct --config or GOCONDUCTOR_CONFIG"


def test_without_a_database_nothing_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(None) == ["database.url: is not set; set it in goconductor.yaml, or GOCONDUCTOR_DATABASE_URL"]


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, f"database: {{url: 'mysql://a:{CANARY}@b'}}\nrest: {{prot: 1, port: 70000}}\nbsu: {{}}\nlog: 3\n")
    environ = {"GOCONDUCTOR_DATABSE_URL": URL, "GOCONDUCTOR_PARTICIPANT_LEASE_SECONDS": "-1"}
    assert refused(path, environ) == [
        f"{path}: database.url: {NO_URL}",
        "GOCONDUCTOR_PARTICIPANT_LEASE_SECONDS: should be at least 1",
        f"{path}: rest.port: should be at most 65,535",
        f"{path}: rest.prot: there is no such setting; did you mean rest.port?",
        f"{path}: log: should hold keys and their values, one per line below it",
        f"{path}: bsu: there is no such setting; did you mean bus?",
        "GOCONDUCTOR_DATABSE_URL: there is no such setting; did you mean GOCONDUCTOR_DATABASE_URL?",
    ]


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("databse: {}", "databse", "database"),
        ("database: {ulr: x}", "database.ulr", "database.url"),
        ("rest: {lease_seconds: 3}", "rest.lease_seconds", "participant.lease_seconds"),
        ("port: 8080", "port", "rest.port"),
        ("participant: {lease_second: 3}", "participant.lease_second", "participant.lease_seconds"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_name(tmp_path: Path, text: str, key: str, nearest: str) -> None:
    path = write(tmp_path, text)
    problems = refused(path, {"GOCONDUCTOR_DATABASE_URL": URL})
    assert problems == [f"{path}: {key}: there is no such setting; did you mean {nearest}?"]


def test_an_unknown_key_that_resembles_none_is_told_what_there_is(tmp_path: Path) -> None:
    path = write(tmp_path, f"{FILE}zzz: 1")
    sections = "audit, auth, bus, database, definitions, election, events, gateway, grpc, health, limits, log, metrics, oidc"
    sections += ", participant, recovery, rest, retention, secrets, system, traces, webhooks"
    assert refused(path) == [f"{path}: zzz: there is no such setting; there are: {sections}"]


@pytest.mark.parametrize("name", ["GOCONDUCTOR_REST_PROT", "GOCONDUCTOR_REST__PROT", "GOCONDUCTOR_REST_PORT__X"])
def test_an_unknown_variable_is_a_warning_with_the_nearest_name(name: str) -> None:
    settings = Settings.load(None, {"GOCONDUCTOR_DATABASE_URL": URL, name: "1"})
    assert settings.warnings == [f"{name}: there is no such setting; did you mean GOCONDUCTOR_REST_PORT?"]


OF_KUBERNETES = {
    "GOCONDUCTOR_PORT": "tcp://10.0.0.1:8080",
    "GOCONDUCTOR_SERVICE_HOST": "10.0.0.1",
    "GOCONDUCTOR_SERVICE_PORT": "8080",
    "GOCONDUCTOR_SERVICE_PORT_HTTP": "8080",
    "GOCONDUCTOR_PORT_8080_TCP": "tcp://10.0.0.1:8080",
    "GOCONDUCTOR_PORT_8080_TCP_PROTO": "tcp",
    "GOCONDUCTOR_PORT_8080_TCP_PORT": "8080",
    "GOCONDUCTOR_PORT_8080_TCP_ADDR": "10.0.0.1",
    "GOCONDUCTOR_REST_PORT": "tcp://10.0.0.2:80",  # of a Service called goconductor-rest: the name of a setting
    "GOCONDUCTOR_REST_SERVICE_HOST": "10.0.0.2",
    "GOCONDUCTOR_REST_PORT_80_UDP": "udp://10.0.0.2:80",
}


def test_what_kubernetes_writes_for_our_services_is_passed_over() -> None:
    settings = Settings.load(None, {"GOCONDUCTOR_DATABASE_URL": URL, **OF_KUBERNETES})
    assert (settings.warnings, settings.rest.port) == ([], 8080)


def test_a_port_that_is_no_port_and_not_of_kubernetes_is_still_refused() -> None:
    (problem,) = refused(None, {"GOCONDUCTOR_DATABASE_URL": URL, "GOCONDUCTOR_REST_PORT": "eighty"})
    assert problem.startswith("GOCONDUCTOR_REST_PORT: should be a whole number")


def test_variables_of_others_and_of_our_tests_are_left_alone() -> None:
    environ = {"PATH": "/bin", "GOCONDUCTOR_TEST_POSTGRES_URL": "x", "goconductor_rest_port": "1", "GOCONDUCTORX": "1"}
    assert Settings.load(None, {**environ, "GOCONDUCTOR_DATABASE_URL": URL}).rest.port == 8080


def test_one_setting_by_two_variables_is_refused() -> None:
    environ = {"GOCONDUCTOR_DATABASE_URL": URL, "GOCONDUCTOR_REST_PORT": "1", "GOCONDUCTOR_REST__PORT": "1"}
    assert refused(None, environ) == ["GOCONDUCTOR_REST__PORT: is the same setting as GOCONDUCTOR_REST_PORT; keep one of the two"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rest: {port: abc}", "rest.port: should be a whole number"),
        ("rest: {port: [1]}", "rest.port: should be a whole number"),
        ("rest: {insecure: perhaps}", "rest.insecure: should be true or false"),
        ("participant: {lease_seconds: 0.5}", "participant.lease_seconds: should be at least 1"),
        ("participant: {concurrency: 0}", "participant.concurrency: should be at least 1"),
        ("recovery: {sweep_interval_seconds: 1e999}", "recovery.sweep_interval_seconds: should be"),
        ("log: {level: loud}", "log.level: should be 'debug', 'info', 'warning' or 'error'"),
        (
            "bus: {kind: pigeons}",
            "bus.kind: should be one of those installed: kafka, kinesis, memory, nats, postgres, rabbitmq, sqs",
        ),
        (
            "election: {kind: ectd}",
            "election.kind: should be one of those installed: alone, etcd, postgres, zookeeper; did you mean etcd?",
        ),
        ("election: {kind: dice}", "election.kind: should be one of those installed: alone, etcd, postgres, zookeeper"),
        ("bus: {options: [1]}", "bus.options: should hold keys and their values"),
        ("database: {schema_name: 'a; drop'}", "database.schema_name: should match the pattern"),
        ("rest: [1]", "rest: should hold keys and their values"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path, text)
    (problem,) = refused(path, {"GOCONDUCTOR_DATABASE_URL": URL})
    assert problem.startswith(f"{path}: {says}")


@pytest.mark.parametrize(
    "url",
    [
        "postgres://h/d",
        "postgresql+asyncpg://h/d",
        "postgresql:///d?host=/tmp",
        "postgresql://u:p%40ss@[::1]:5432/d?sslmode=require",
        "postgresql://u@h1:5432,h2:5433/d",
        "postgresql://u:@h",
    ],
)
def test_a_database_may_be_written_in_these_ways(url: str) -> None:
    assert Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url}).database.url.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sagas",
        "mysql://u:{}@h/d",
        "postgresql:/u:{}@h/d",
        "postgresql://u:{}@h:port/d",
        "postgresql://u:{}@[::1/d",
        "postgresql://u:a@{}@h/d",
        "postgresql://u:a/{}@h/d",
        "postgresql://u:a:{}@h/d",
        "postgresql://u:{} x@h/d",
    ],
)
def test_a_url_that_is_none_is_refused_without_being_shown(url: str) -> None:
    (problem,) = refused(None, {"GOCONDUCTOR_DATABASE_URL": url.format(CANARY)})
    assert problem == f"GOCONDUCTOR_DATABASE_URL: {NO_URL}"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "sagas.example", ""])
def test_rest_leaves_loopback_only_with_authentication_or_when_told_that_it_is_insecure(host: str) -> None:
    environ = {"GOCONDUCTOR_DATABASE_URL": URL, "GOCONDUCTOR_REST_HOST": host}
    (problem,) = refused(None, environ)
    assert problem.startswith("GOCONDUCTOR_REST_HOST: is not a loopback address, and everybody who reaches it could start sagas")
    assert Settings.load(None, {**environ, "GOCONDUCTOR_REST_INSECURE": "true"}).rest.host == host
    assert Settings.load(None, {**environ, "GOCONDUCTOR_AUTH_ENABLED": "true"}).rest.host == host
    (problem,) = refused(None, {**environ, "GOCONDUCTOR_AUTH_ENABLED": "perhaps"})
    assert problem == "GOCONDUCTOR_AUTH_ENABLED: should be true or false"


def test_metrics_leave_loopback_only_when_told_that_they_are_insecure() -> None:
    environ = {"GOCONDUCTOR_DATABASE_URL": URL, "GOCONDUCTOR_METRICS_HOST": "0.0.0.0"}
    (problem,) = refused(None, environ)
    assert problem.startswith("GOCONDUCTOR_METRICS_HOST: is not a loopback address, and there is no authentication")
    assert Settings.load(None, {**environ, "GOCONDUCTOR_METRICS_INSECURE": "true"}).metrics.host == "0.0.0.0"
    assert Settings.load(None, {"GOCONDUCTOR_DATABASE_URL": URL}).metrics.port is None


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://collector", f"{CANARY} http://x", "http://", ""])
def test_an_endpoint_for_traces_is_a_http_url(endpoint: str) -> None:
    (problem,) = refused(None, {"GOCONDUCTOR_DATABASE_URL": URL, "GOCONDUCTOR_TRACES_ENDPOINT": endpoint})
    assert problem == "GOCONDUCTOR_TRACES_ENDPOINT: should look like http://collector:4318/v1/traces"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_rest_may_be_on_loopback(host: str) -> None:
    assert Settings.load(None, {"GOCONDUCTOR_DATABASE_URL": URL, "GOCONDUCTOR_REST_HOST": host}).rest.host == host


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"database: {{url: '{URL}'", "is not YAML at line 1"),
        (f"a: &x {CANARY}\nb: *x", "uses an alias at line 2, column 4; write the value out"),
        (f"database: {{url: *{CANARY}}}", "uses an alias at line 1"),
        ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]", "uses an alias at line 2"),
        (f"database:\n  url: {URL}\n  url: {URL}", "has a key that stood before at line 3, column 3"),
        (f"a: !!python/object/apply:os.system ['echo {CANARY}']", "has a tag that is not YAML's own at line 1"),
        ("[" * 5000, "is nested too deeply"),
        ("- a", "holds no settings"),
        (f"'{URL}'", "holds no settings"),
        ("1: 2", "has a key that is no word"),
        (b"a: \xff", "is not UTF-8 at byte 3"),
        (b"a: \x00", "is not YAML"),
        ("a: " + "x" * 300_000, "is 262,145 bytes, at most 262,144 are allowed"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_nothing_of_what_it_holds(tmp_path: Path, text: str | bytes, says: str) -> None:
    path = write(tmp_path, text)
    (problem,) = refused(path)
    assert problem.startswith(f"{path}: {says}")


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        (f"database: {{'{URL}': 1}}", {}),
        (f"'{URL}': 1", {}),
        (f"database: {{url: ['{URL}']}}", {}),
        (f"database: {{url: {{a: '{URL}'}}}}", {}),
        (f"database: '{URL}'", {}),
        (f"{FILE}bus: {{url: ['{CANARY}'], options: '{CANARY}', kind: '{CANARY}'}}", {}),
        (f"{FILE}rest: {{host: '{CANARY}', port: '{CANARY}'}}\nlog: {{level: '{CANARY}'}}", {}),
        ("", {"GOCONDUCTOR_DATABASE_URL": f"mysql://{CANARY}"}),
        ("", {"GOCONDUCTOR_DATABASE_URL": CANARY}),
        ("", {"GOCONDUCTOR_DATABASE_URL": f"{URL}\n"}),
        ("", {"GOCONDUCTOR_BUS_OPTIONS": f"[{CANARY}"}),
        ("", {"GOCONDUCTOR_PASSWORD": CANARY}),
    ],
)
def test_a_password_is_in_no_message(tmp_path: Path, text: str, environ: dict[str, str]) -> None:
    assert refused(write(tmp_path, text), environ)


def test_a_password_is_in_nothing_that_is_shown(tmp_path: Path) -> None:
    options = f"{{password: {CANARY}, nested: {{token: {CANARY}}}, poll_interval_seconds: 1}}"
    endpoint = f"http://{CANARY}:{CANARY}@collector/v1/traces"
    text = (
        f"{FILE}bus: {{url: '{URL}', options: {options}}}\nelection: {{options: {options}}}\ntraces: {{endpoint: '{endpoint}'}}"
    )
    path = write(tmp_path, text)
    settings = Settings.load(path, {})
    shown = settings.shown()
    for text in (repr(settings), str(settings), repr(shown), settings.model_dump_json(include={"database"})):
        assert CANARY not in text
    assert shown["bus"]["options"] == {"password": "**********", "nested": "**********", "poll_interval_seconds": 1}
    assert shown["database"] == {"url": "**********", "schema_name": "goconductor"}


def test_an_option_that_only_python_can_give_is_hidden() -> None:
    settings = Settings.model_validate({"database": {"url": URL}, "bus": {"options": {"session": object()}}})
    assert settings.shown()["bus"]["options"] == {"session": "**********"}


def test_settings_do_not_change(tmp_path: Path) -> None:
    settings = Settings.load(write(tmp_path, FILE), {})
    with pytest.raises(ValueError, match="frozen"):
        settings.rest.port = 1
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_further_buses_and_elections_are_named_beside_their_own(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f"{FILE}bus:\n  others:\n    kafka: {{kind: kafka, url: 'kafka://u:{CANARY}@h:1', options: {{group_prefix: {CANARY}}}}}\n"
        "election: {name: home, others: {etcd: {kind: etcd}}}\n",
    )
    environ = {
        "GOCONDUCTOR_BUS_OTHERS__KAFKA__OPTIONS__PARTITIONS": "3",
        "GOCONDUCTOR_BUS_OTHERS__NATS__KIND": "nats",
        "GOCONDUCTOR_BUS__OTHERS__NATS__URL": "nats://h",
    }
    settings = Settings.load(path, environ)
    buses = settings.bus.named()
    assert [(name, bus.kind) for name, bus in buses.items()] == [("postgres", "postgres"), ("kafka", "kafka"), ("nats", "nats")]
    assert buses["kafka"].options == {"group_prefix": CANARY, "partitions": 3}
    assert list(settings.election.named()) == ["home", "etcd"]
    assert CANARY not in f"{settings.shown()} {settings!r}"
    whole = Settings.load(path, {"GOCONDUCTOR_BUS_OTHERS": "{nats: {kind: nats}}"})
    assert list(whole.bus.named()) == ["postgres", "nats"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("bus: {others: {postgres: {kind: nats}}}", "two are called 'postgres'; give the section a name of its own"),
        ("bus: {others: {new: {url: 'nats://h'}}}", "bus.others.new.kind: is not set; set it in "),
        ("bus: {others: {new: {kind: pigeon}}}", "bus.others.new.kind: should be one of those installed"),
        ("bus: {others: {new: {kind: nats, uri: x}}}", "bus.others.new.uri: there is no such setting"),
        ("bus: {others: {'a b': {kind: nats}}}", "should match the pattern"),
        ("election: {others: {new: {kind: etcd, url: x}}}", "election.others.new.url: there is no such setting"),
    ],
)
def test_what_is_wrong_with_a_further_bus_is_told_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    (told,) = refused(write(tmp_path, FILE + text))
    assert problem in told


def test_every_setting_has_one_variable_and_stands_in_the_reference() -> None:
    known = list(names())
    assert len({variable(*name) for name in known}) == len(known)
    reference = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    described = re.findall(r"^\| `(\w+\.\w+)` \|", reference, re.MULTILINE)
    assert described == [".".join(name) for name in known]


def test_events_are_refused_that_could_not_be_published(tmp_path: Path) -> None:
    for events, told in (
        ("topic: goconductor.steps.shop", "goconductor's own"),
        ("topic: my topic", "up to 249 letters"),
        ("types: [saga.complete]", "did you mean saga.completed?"),
        ("types: ['step.*']", "fits no type of event"),
        ("bus: kafka", "is no bus of bus.others"),
    ):
        with pytest.raises(ConfigurationError, match=re.escape(told)):
            Settings.load(write(tmp_path, f"{FILE}events: {{{events}}}\n"), {})
    loaded = Settings.load(
        write(tmp_path, f"{FILE}events: {{topic: a.b}}\n"), {"GOCONDUCTOR_EVENTS_TYPES": "saga.*, event.ActionFailed"}
    )
    assert (loaded.events.topic, loaded.events.types) == ("a.b", ("saga.*", "event.ActionFailed"))
