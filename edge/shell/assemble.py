"""From a checked settings file to the things an agent is made of: models, drivers, core settings, link.

Everything here may fail with one clear error, and happens before any thread is started or anything moves.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from edge.config import Loaded
from edge.config.agent import LinkConfig, ModelConfig
from edge.core.settings import RecipeSettings
from edge.errors import ConfigError, JidokaError
from edge.models.admit import admit, limits_of, wish_of
from edge.models.loading import load as load_model
from edge.models.loading import predictor_of
from edge.models.predictor import Predictor
from edge.models.series.manifest import SeriesBundle, read_model
from edge.models.stages import CODES, is_codes, place_of
from edge.models.tuning.plan import Plan
from edge.ports import CAMERA_PATHS
from edge.registry import DRIVERS
from edge.registry import load as load_class
from edge.shell.early import EarlyModel
from edge.shell.engine import Engine
from edge.shell.infer import Route
from edge.vision.findings import Zone, to_inference

if TYPE_CHECKING:
    from edge.models.series.predictor import SeriesPredictor
    from edge.shell.endpoint import Endpoint

    AnyPredictor = Predictor | SeriesPredictor

SAME_RATE = 0.02
"""A sensor may be read at a rate so much (a share of one) off the model's."""


class Models(Struct, frozen=True):
    """Loaded models and who uses which."""

    engines: tuple[Engine, ...]
    routes: dict[str, Route]
    recipes: dict[str, RecipeSettings]
    predictors: dict[str, AnyPredictor]
    sensors: dict[str, SeriesPredictor] = {}
    """Whose windows go to which model, by sensor; routes and recipes have the sensor's name, too."""


def load_models(loaded: Loaded, early: EarlyModel | None = None) -> Models:
    """Load every model once, guarded. ``early`` is the first, where somebody began with it already.

    Raises ModelError, ConfigError.
    """
    config = loaded.config
    predictors: dict[str, AnyPredictor] = {}
    engines: dict[str, Engine] = {}

    def engine(model: ModelConfig, where: tuple[str, ...]) -> str:
        name = CODES if is_codes(model.path) else f"{Path(model.path).stem or 'model'}"
        key = f"{model.path}|{model.min_score}|{model.variant}"
        if key not in predictors:
            try:
                is_early = early is not None and model is early.model
                predictors[key] = early.result() if early is not None and is_early else _predictor(loaded, model)
            except JidokaError as error:
                place = loaded.locator.where((*where, "path"))
                raise type(error)(error.code, f"{place}: {error.what}", error.why, error.hint) from error
            taken = {one.name for one in engines.values()}
            name = name if name not in taken else f"{name}{len(engines)}"
            warming = early.warmed if early is not None and model is early.model else None
            engines[key] = Engine(name, predictors[key], _workers(model, predictors[key]), warming)
        return key

    zones = tuple(Zone(name, corners) for name, corners in config.zones.items())
    judge = partial(to_inference, zones=zones)
    base = engine(config.model, ("model",))
    keys = {"default": base}
    for name, recipe in config.recipes.items():
        keys[name] = engine(recipe.model, ("recipes", name, "model")) if recipe.model else base
    _check_pictures(loaded, {name: predictors[key] for name, key in keys.items()})
    sensors: dict[str, SeriesPredictor] = {}
    for name, sensor in config.sensors.items():
        where = ("sensors", name, "model") if sensor.model else ("model",)
        keys[name] = engine(sensor.model, where) if sensor.model else base
        sensors[name] = _series(loaded, name, predictors[keys[name]], where)
    regions = {name: recipe.region_px for name, recipe in config.recipes.items()}
    routes = {name: Route(engines[key].name, regions.get(name), judge) for name, key in keys.items()}
    routes[""] = routes["default"]
    types = {name: recipe.part_type for name, recipe in config.recipes.items()}
    recipes = {name: RecipeSettings(predictors[key].ref, types.get(name)) for name, key in keys.items()}
    by_name = {engines[key].name: predictor for key, predictor in predictors.items()}
    return Models(tuple(engines.values()), routes, recipes, by_name, sensors)


def _predictor(loaded: Loaded, model: ModelConfig) -> AnyPredictor:
    path, limits = place_of(model.path, loaded.path(model.path)), limits_of(model, loaded.config.guard)
    if is_codes(str(path)):
        return load_model(path, min_score=model.min_score)
    found = read_model(path)
    if isinstance(found, SeriesBundle):
        from edge.models.series.loading import predictor_of as series_predictor_of  # most agents have cameras only

        return series_predictor_of(found, model.min_score, limits=limits, wish=wish_of(model))
    return predictor_of(admit(found, limits=limits, wish=wish_of(model)), model.min_score, limits=limits)


def _workers(model: ModelConfig, predictor: AnyPredictor) -> int:
    """As the settings say, else as planned."""
    if model.workers != "auto":
        return model.workers
    return predictor.plan.way.workers


def run_as(predictor: AnyPredictor) -> str:
    """`` (int8, openvino, 2 workers)`` where that is not the usual way, else ''."""
    if predictor.plan == Plan(notes=predictor.plan.notes):
        return ""
    plan = predictor.plan
    return f" ({', '.join(filter(None, (plan.variant, plan.way.runtime, plan.way.name)))})"


def notes_of(models: Models) -> list[str]:
    """Sentences about models that are not run as was planned for them."""
    found = {name: one.plan.notes for name, one in models.predictors.items()}
    return [f"model {name}: {note}" for name, notes in found.items() for note in notes]


def _check_pictures(loaded: Loaded, by_recipe: dict[str, AnyPredictor]) -> None:
    """A camera's frames are no windows. Raises ConfigError MODEL_TAKES_SERIES."""
    for name, predictor in by_recipe.items():
        if loaded.config.sources and not isinstance(predictor, Predictor):
            where = loaded.locator.where(("model", "path") if name == "default" else ("recipes", name, "model", "path"))
            hint = "name it in [sensors.NAME.model]"
            raise ConfigError("MODEL_TAKES_SERIES", f"{where}: it takes windows of samples, no pictures", "", hint)


def _series(loaded: Loaded, name: str, predictor: AnyPredictor, where: tuple[str, ...]) -> SeriesPredictor:
    """Raises ConfigError MODEL_TAKES_PICTURES, SENSOR_RATE."""
    if isinstance(predictor, Predictor):
        place = loaded.locator.where((*where, "path"))
        hint = f"name a series model in [sensors.{name}.model]"
        raise ConfigError("MODEL_TAKES_PICTURES", f"{place}: sensor {name!r} gives windows of samples", "", hint)
    seen, wanted = loaded.config.sensors[name].rate_hz, predictor.manifest.input.rate_hz
    if wanted and abs(seen - wanted) > SAME_RATE * wanted:
        place = loaded.locator.where(("sensors", name, "rate_hz"))
        raise ConfigError("SENSOR_RATE", f"{place}: {seen:g} Hz", f"the model was trained at {wanted:g} Hz", "use that")
    return predictor


def check_labels(loaded: Loaded, models: Models) -> list[str]:
    """Sentences about rules that name labels the model does not have; such a rule would never speak."""
    known = {label for predictor in models.predictors.values() for label in predictor.labels}
    said = []
    for recipe, (_, options) in loaded.policies.items():
        named: dict[tuple[str, ...], str] = {
            ("policy", "labels", label): label for label in getattr(options, "labels", {})
        }
        rules = getattr(options, "read", None)
        for name, rule in rules.items() if isinstance(rules, dict) else ():
            if label := getattr(rule, "label", ""):
                named["policy", "read", name, "label"] = label
        for path, label in named.items():
            if known and label not in known:
                said.append(f"{loaded.locator.where(path)}: the model of recipe {recipe!r} has no label {label!r}")
    for name, predictor in models.sensors.items():
        given, limits = predictor.values, getattr(loaded.policies[name][1], "values", {})
        for value in limits if given is not None else ():
            if value not in (given or ()):
                where = loaded.locator.where(("policy", "values", value))
                said.append(f"{where}: the model of sensor {name!r} gives no value {value!r}")
    return said


def make_driver(driver: str, options: Any, name: str, folder: Path) -> Any:
    """Construct a driver; nothing is opened. A relative ``source`` path counts from the settings file's folder."""
    kind = load_class(DRIVERS, driver)
    file = source_file(options, folder)
    return kind(name, options if file is None else structs.replace(options, source=str(file)))


def source_file(options: Any, folder: Path) -> Path | None:
    """The file or folder that a driver's option ``source`` names, if it names one and not a camera."""
    source = getattr(options, "source", None)
    if not isinstance(source, str) or "://" in source or source.isdigit() or source.startswith(CAMERA_PATHS):
        return None
    return folder / source


def command_key(loaded: Loaded) -> bytes:
    """What signs orders for this agent; empty where none is configured. Raises ConfigError."""
    link = loaded.config.link
    return read_secret(loaded.path(link.command_key_file)) if link and link.command_key_file else b""


def endpoint(loaded: Loaded, link: LinkConfig) -> Endpoint:
    """Where the broker is. Raises ConfigError for files that cannot be read."""
    from edge.shell.endpoint import Endpoint, Tls  # paho is read while the model loads, see daemon.py

    tls = None
    if link.tls:
        own = [loaded.path(text) if text else None for text in (link.tls.cert, link.tls.key)]
        tls = Tls(loaded.path(link.tls.ca), own[0], own[1])
    password = None
    if link.password_file:
        password = read_secret(loaded.path(link.password_file)).decode()
    return Endpoint(link.host, link.port, link.keepalive_s, tls, link.username, password)


def read_secret(path: Path) -> bytes:
    """A key or password file, without the newline at its end. Raises ConfigError SECRET_UNREADABLE, SECRET_EXPOSED."""
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError("SECRET_EXPOSED", f"{path} can be read by others", hint=f"chmod 600 {path}")
        return path.read_bytes().strip()
    except OSError as error:
        raise ConfigError("SECRET_UNREADABLE", f"{path} cannot be read", str(error)) from error
