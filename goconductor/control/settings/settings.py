"""Settings: one YAML file, overridden by variables of the environment; all faults are reported at once.

A setting has one name, ``section.key``. Its variable is ``GOCONDUCTOR_SECTION_KEY``, also written with the nested delimiter,
``GOCONDUCTOR_SECTION__KEY``. The variable of a leaf's own option is ``GOCONDUCTOR_BUS_OPTIONS__KEY``, that of a key of another
bus ``GOCONDUCTOR_BUS_OTHERS__NAME__KEY``.

An unknown key of the file is refused, with the nearest known one: otherwise a mistyped setting would silently keep its default.
An unknown variable is a warning, since others write into the environment too. Kubernetes gives each pod
``GOCONDUCTOR_PORT=tcp://…`` and a dozen more for a Service called *goconductor*; these are passed over silently.

URLs hold passwords. No message, ``repr`` or :meth:`Settings.shown` has a value that was in one, or a string among a leaf's
options, which may be a password too.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Self

from pydantic import (
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from goconductor.control.settings.audit import AuditSettings
from goconductor.control.settings.auth import AuthSettings, closed_or_on_loopback
from goconductor.control.settings.definitions import DefinitionSettings
from goconductor.control.settings.doors import GatewaySettings, GrpcSettings, RestSettings
from goconductor.control.settings.events import EventSettings, over_known_bus
from goconductor.control.settings.oidc import OidcSettings, asked_for
from goconductor.control.settings.references import MISPLACED, REFERENCE, Reference, filled, references_in, told
from goconductor.control.settings.sections import (
    BusSettings,
    DatabaseSettings,
    ElectionSettings,
    HealthSettings,
    LimitSettings,
    LogSettings,
    MetricsSettings,
    ParticipantSettings,
    RecoverySettings,
    RetentionSettings,
    SecretSettings,
    Section,
    SystemSettings,
    TracesSettings,
)
from goconductor.control.settings.webhooks import WebhookSettings
from goconductor.control.yaml_reader import SETTINGS_BYTES_MAX, DocumentError, read_yaml
from goconductor.errors import ConfigurationError, check_type
from goconductor.saga.types.complaints import unfit

PREFIX = "GOCONDUCTOR_"
PATH_VARIABLE = f"{PREFIX}CONFIG"
API_KEY_VARIABLE = f"{PREFIX}API_KEY"
"""Where programs that speak to a server find their key. It is no setting."""
TOKEN_FILE_VARIABLE = f"{PREFIX}TOKEN_FILE"
"""In place of that, where they find the file with their token. It is no setting either."""
WRAPPING_KEYS_VARIABLE = f"{PREFIX}WRAPPING_KEYS"
"""Where the keyring ``environment`` finds its keys. It is no setting either."""
TEST_PREFIX = f"{PREFIX}TEST_"
"""Prefix of the test suite's variables, which may stand beside ours."""
DEFAULT_PATH = Path("goconductor.yaml")
HIDDEN = "**********"

_OF_KUBERNETES = re.compile(r".*_SERVICE_HOST|.*_SERVICE_PORT(_\w+)?|.*_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?")
_PORT_OF_KUBERNETES = re.compile(r"(tcp|udp|sctp)://.*", re.IGNORECASE)
"""The value of ``…_PORT``, which for a Service called *goconductor-rest* has the very name of a setting."""

_DOCUMENTS = ("others", "secrets", "roles", "required_claims")
"""Settings that hold keys and values, which a variable gives as YAML."""
BY_HAND = "Settings(…)"
"""Stands for the file in messages about settings that were made without one."""
_LOADING = object()
"""Context of a validation whose faults :meth:`Settings.load` explains."""
_FILLING = object()
"""Context of a validation by :meth:`Settings.filled`."""

_PRINTABLE_KEY = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_PLACE = tuple[str, ...]


class Settings(Section):
    """Everything that can be set. Made by :meth:`load`; or by hand, of sections as keyword arguments or of one dict.

    Raises:
        ConfigurationError: there are faults; names all of them.
    """

    database: DatabaseSettings
    bus: BusSettings = BusSettings()
    election: ElectionSettings = ElectionSettings()
    participant: ParticipantSettings = ParticipantSettings()
    recovery: RecoverySettings = RecoverySettings()
    retention: RetentionSettings = RetentionSettings()
    audit: AuditSettings = AuditSettings()
    auth: AuthSettings = AuthSettings()
    oidc: OidcSettings = OidcSettings()
    rest: RestSettings = RestSettings()
    grpc: GrpcSettings = GrpcSettings()
    gateway: GatewaySettings = GatewaySettings()
    definitions: DefinitionSettings = DefinitionSettings()
    events: EventSettings = EventSettings()
    webhooks: WebhookSettings = WebhookSettings()
    limits: LimitSettings = LimitSettings()
    system: SystemSettings = SystemSettings()
    secrets: SecretSettings = SecretSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    health: HealthSettings = HealthSettings()
    traces: TracesSettings = TracesSettings()
    _origins: dict[_PLACE, str] = PrivateAttr(default_factory=dict)
    _warnings: list[str] = PrivateAttr(default_factory=list)
    _references: list[Reference] = PrivateAttr(default_factory=list)

    @field_validator("rest", "grpc")
    @classmethod
    def _doors_are_closed(cls, door: Any, info: ValidationInfo) -> Any:
        return closed_or_on_loopback(str(info.field_name), door, info.data.get("auth"))

    @field_validator("events")
    @classmethod
    def _bus_is_there(cls, events: EventSettings, info: ValidationInfo) -> EventSettings:
        return over_known_bus(events, info.data.get("bus"))

    @field_validator("oidc")
    @classmethod
    def _tokens_are_asked_for(cls, oidc: OidcSettings, info: ValidationInfo) -> OidcSettings:
        return asked_for(oidc, info.data.get("auth"))

    @model_validator(mode="after")
    def _references_are_in_place(self, info: ValidationInfo) -> Self:
        if info.context is not _FILLING:  # a value that looks like a reference is none
            self._references = references_in(self)
            literal = next((name for name, each in self.system.secrets.items() if _is_literal(each.value)), None)
            if literal is not None:
                problem = "should be ${secret:NAME}, as settings are no place for the secret itself"
                context = {"problem": problem, "place": ("system", "secrets", literal, "value")}
                raise PydanticCustomError(MISPLACED, "{problem}", context)
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _made(cls, given: Any, made: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        try:
            return made(given)
        except ValidationError as error:
            if info.context in (_LOADING, _FILLING):  # which know where each value came from
                raise
            found = error.errors(include_url=False, include_input=False)
            raise ConfigurationError(_numbered([_explain(each, BY_HAND, {}) for each in found])) from None

    @classmethod
    def load(cls, path: Path | str | None = None, environ: Mapping[str, str] | None = None) -> Self:
        """Load the settings of a file and an environment.

        Args:
            path: the YAML file; None takes GOCONDUCTOR_CONFIG, else ``./goconductor.yaml`` if that is there.
            environ: the variables; None takes the process's.

        Raises:
            ArgumentError: the path is not a path.
            ConfigurationError: there are faults; names all of them, each with its place and the remedy.
        """
        check_type("path", path, (str, Path, NoneType), "the YAML file's path")
        environ = os.environ if environ is None else environ
        problems: list[str] = []
        warnings: list[str] = []
        given = path or environ.get(PATH_VARIABLE) or None
        file = Path(given or DEFAULT_PATH)
        document = _read(file, problems) if given or file.is_file() else {}
        unread = bool(problems)
        origins = {(section, key): str(file) for section, keys in document.items() if isinstance(keys, dict) for key in keys}
        variables = _overlay(document, environ, problems, warnings)
        try:
            settings = cls.model_validate(document, context=_LOADING)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            problems += [_explain(each, str(file), variables) for each in found if not (unread and each["type"] == "missing")]
        if problems:
            raise ConfigurationError(_numbered(problems + warnings))
        settings._origins.update(origins | variables)  # noqa: SLF001  (our own)
        settings._warnings.extend(warnings)  # noqa: SLF001
        return settings

    @property
    def warnings(self) -> list[str]:
        """What may be a mistake and stands in nobody's way: variables of our prefix that name no setting."""
        return list(self._warnings)

    def origins(self, section: str, key: str) -> list[str]:
        """Return where a setting's value comes from: the file, one or several variables, or the default."""
        return list(dict.fromkeys(origin for place, origin in self._origins.items() if place[:2] == (section, key)))

    @property
    def references(self) -> list[Reference]:
        """Where secrets are referred to, which :meth:`filled` has replaced."""
        return list(self._references)

    def filled(self, values: Mapping[str, str]) -> Self:
        """Return the same settings with the values of secrets in place of all references.

        Args:
            values: by the names of the secrets; all that are referred to.

        Raises:
            ConfigurationError: a setting cannot have its value; names the setting.
        """
        document = filled(self.model_dump(exclude_unset=True), values)
        try:
            settings = type(self).model_validate(document, context=_FILLING)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            raise ConfigurationError(_numbered([_explain(each, "with its secret", {}) for each in found])) from None
        settings._origins.update(self._origins)  # noqa: SLF001  (our own)
        settings._warnings.extend(self._warnings)  # noqa: SLF001
        return settings

    def shown(self) -> dict[str, dict[str, Any]]:
        """Return all settings for printing; what may hold a password is hidden, but for references to secrets."""
        shown: dict[str, dict[str, Any]] = self.model_dump(mode="json", fallback=lambda _: HIDDEN)
        for section in shown.values():
            for each in (section, *section.get("others", {}).values()):
                if each.get("options"):
                    each["options"] = {name: _hidden(value, self._references) for name, value in each["options"].items()}
        for place in {each.place for each in self._references if "options" not in each.place}:
            _put(shown, place, " ".join(f"${{secret:{each.name}}}" for each in self._references if each.place == place))
        return shown


def names() -> Iterator[tuple[str, str]]:
    """Section and key of every setting."""
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert isinstance(model, type) and issubclass(model, Section)  # noqa: S101, PT018  (for the type checker)
        yield from ((section, key) for key in model.model_fields)


def variable(section: str, key: str, *below: str) -> str:
    """Return the variable that overrides a setting."""
    return "__".join((f"{PREFIX}{section}_{key}", *below)).upper()


def _hidden(value: Any, references: list[Reference]) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else (references and told(value)) or HIDDEN


def _is_literal(value: SecretStr | None) -> bool:
    return value is not None and REFERENCE.fullmatch(value.get_secret_value()) is None


def _read(file: Path, problems: list[str]) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            document = read_yaml(stream.read(SETTINGS_BYTES_MAX + 1), bytes_max=SETTINGS_BYTES_MAX)
    except OSError as error:
        problems.append(f"{file}: cannot be read ({error.strerror}); correct --config or {PATH_VARIABLE}")
        return {}
    except DocumentError as error:
        problems.append(f"{file}: {error}")
        return {}
    if document is not None and not isinstance(document, dict):
        problems.append(f"{file}: holds no settings; write sections such as 'database:' with keys below them")
        return {}
    return {section: {} if keys is None else keys for section, keys in (document or {}).items()}


def _overlay(document: dict[str, Any], environ: Mapping[str, str], problems: list[str], warnings: list[str]) -> dict[_PLACE, str]:
    """Put the variables over the file's values; return which variable each value came from."""
    known = {variable(*name): name for name in names()}
    seen: dict[_PLACE, str] = {}
    document.setdefault("database", {})
    for name in sorted(environ):
        if (
            not name.startswith(PREFIX)
            or name in (PATH_VARIABLE, API_KEY_VARIABLE, TOKEN_FILE_VARIABLE, WRAPPING_KEYS_VARIABLE)
            or name.startswith(TEST_PREFIX)
            or _is_of_kubernetes(name, environ)
        ):
            continue
        place, value = _place(name, known), _value(environ[name])
        if place is None:
            warnings.append(f"{_named(name)}: there is no such setting{_nearest(name, list(known))}")
        elif place in seen:
            problems.append(f"{name}: is the same setting as {seen[place]}; keep one of the two")
        else:
            seen[place] = name
            _put(document, place, value if "options" in place or place[-1] in _DOCUMENTS else environ[name])
    return seen


def _is_of_kubernetes(name: str, environ: Mapping[str, str]) -> bool:
    return _OF_KUBERNETES.fullmatch(name) is not None or (
        name.endswith("_PORT") and _PORT_OF_KUBERNETES.fullmatch(environ[name]) is not None
    )


def _place(name: str, known: Mapping[str, _PLACE]) -> _PLACE | None:
    place = known.get(name.replace("__", "_"))
    if place is not None:
        return place
    beginning, mark, below = name.partition("OTHERS__")
    if mark and (place := known.get(f"{beginning.replace('__', '_')}OTHERS")) is not None:
        return (*place, *below.lower().split("__", 2))
    beginning, mark, option = name.rpartition("OPTIONS__")
    place = known.get(f"{beginning.replace('__', '_')}OPTIONS") if mark and option else None
    return place and (*place, option.lower())


def _value(text: str) -> Any:
    """Read a value. The options of a leaf have their types from YAML; the types of the other settings are known."""
    try:
        return read_yaml(text, bytes_max=SETTINGS_BYTES_MAX)
    except DocumentError:
        return text


def _put(document: dict[str, Any], place: _PLACE, value: Any) -> None:
    section: Any = document
    for name in place[:-1]:
        section = section.setdefault(name, {})
        if not isinstance(section, dict):
            return  # the validation of the document reports it
    section[place[-1]] = value


def _numbered(problems: list[str]) -> str:
    return "\n".join(["the settings cannot be used:", *(f"  {number}. {each}" for number, each in enumerate(problems, 1))])


def _explain(details: ErrorDetails, file: str, variables: Mapping[_PLACE, str]) -> str:
    place = tuple(str(part) for part in details["loc"])
    if details["type"] == "open_door":  # what is wrong shows only with another section, so it was found above its place
        place = (*place, details["ctx"]["key"])
    elif details["type"] == MISPLACED:  # as is a reference, which may stand far below a section
        place = details["ctx"]["place"]
    shown = ".".join(map(_named, place))
    where = variables.get(place[:2]) or variables.get(place) or f"{file}: {shown}"
    match details["type"]:
        case "extra_forbidden":
            siblings = [".".join((*place[:-1], name)) for name in _below(place[:-1])]
            return f"{file}: {shown}: there is no such setting{_nearest('.'.join(place), siblings)}"
        case "missing":
            return f"{shown}: is not set; set it in {file}{'' if file == BY_HAND else f', or {variable(*place)}'}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{where}: should hold keys and their values, one per line below it"
        case _:
            return f"{where}: {unfit(details)}"


def _below(place: _PLACE) -> list[str]:
    return [key for section, key in names() if section == place[0]] if place else list(Settings.model_fields)


def _named(name: str) -> str:
    """Return a name for a message; what does not look like a name may be a value in the wrong place."""
    return name if _PRINTABLE_KEY.fullmatch(name) else "(no name)"


def _nearest(name: str, known: list[str]) -> str:
    """Return the known name that was probably meant: by its look, or by the same key in another section."""
    last = name.rpartition(".")[2]
    for found in (
        difflib.get_close_matches(name, known, 1, cutoff=0.6),
        [".".join(place) for place in names() if place[1] == last],
        difflib.get_close_matches(name, [".".join(place) for place in names()], 1, cutoff=0.6),
    ):
        if found:
            return f"; did you mean {found[0]}?"
    return f"; there are: {', '.join(sorted(known))}"


def check_settings(settings: object) -> None:
    """Refuse what is neither None nor settings.

    Raises:
        ArgumentError: it is something else; describes how settings are made.
    """
    check_type("settings", settings, (Settings, NoneType), "Settings.load('goconductor.yaml'), or None for that file here")
