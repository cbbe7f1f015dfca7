"""Public recordings all the way: file, channels, windows, scaling, model, answers. The limits stand well below what was
seen; the splits are by time or by machine, never shuffled windows that overlap.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict

import numpy as np
import pytest

from edge.models.bundle import About
from edge.models.series import manifest
from edge.models.series.loading import load_series
from edge.models.series.manifest import SeriesManifest
from edge.models.series.recordings import windows_in
from edge.models.tuning.machine import this_machine
from edge.models.variants.making import Material, Search
from edge.series.conventions import SeriesClassHead, SeriesReconstructionHead, SeriesValueHead, Value
from edge.series.spec import Channel, SeriesInput
from edge.series.table import parse_table
from tests.series import trained


def told(name: str, figure: float) -> None:
    """Seen with ``pytest --log-cli-level=INFO``."""
    logging.getLogger("figures").info("%s %.3f", name, figure)


@pytest.fixture
def bundle(tmp_path):
    def make(onnx, spec, head, labels=()):
        about = About(name="m", task="series", labels=labels)
        manifest.write(tmp_path / "b", SeriesManifest(model=about, input=spec, output=head), onnx.read_bytes())
        return load_series(tmp_path / "b", cache=tmp_path / "cache")

    return make


def table_of(path):
    return parse_table(path.read_bytes(), path.name)


def test_failures_of_a_milling_machine(shared_data, bundle, tmp_path):
    """AI4I 2020, rows: trained on the first 7,000, tried on the last 3,000; a linear model of eight columns."""
    table = table_of(shared_data / "ai4i2020" / "ai4i2020.csv")
    names = [name for name in table.names if name.endswith("]")]
    assert len(names) == 5
    x = np.stack([table.get(name) for name in names], axis=1)
    truth = table.get("Machine failure").astype(int)
    # The failures have physical causes: power is torque times speed, heat a difference. A straight line cannot see
    # these, so products are columns of their own.
    product = x[:, names.index("Torque [Nm]")] * x[:, names.index("Rotational speed [rpm]")]
    wear = x[:, names.index("Torque [Nm]")] * x[:, names.index("Tool wear [min]")]
    squares = np.stack([product, wear, ((product - product[:7000].mean()) / 1e4) ** 2], axis=1)
    full = np.hstack([x, squares])
    mean, std = full[:7000].mean(axis=0), full[:7000].std(axis=0)
    weight = np.where(truth[:7000] == 1, (truth[:7000] == 0).mean() / (truth[:7000] == 1).mean(), 1.0) ** 0.5
    scaled = (full[:7000] - mean) / std
    sides = np.stack([1 - truth[:7000], truth[:7000]], axis=1) * weight[:, None]
    x1 = np.hstack([scaled, np.ones((7000, 1))]) * weight[:, None]
    weights = np.linalg.solve(x1.T @ x1 + np.eye(x1.shape[1]), x1.T @ sides)
    columns = [*names, "power", "strain", "off_power"]
    channels = tuple(Channel(name=n, mean=m, std=s) for n, m, s in zip(columns, mean, std, strict=True))
    head = SeriesClassHead(activation="softmax")
    predictor = bundle(
        trained.linear_classifier(tmp_path / "m.onnx", weights), SeriesInput(channels=channels), head, ("ok", "failure")
    )
    text = ",".join(columns) + "\n" + "\n".join(",".join(f"{v:.9g}" for v in row) for row in full[7000:])
    windows = predictor.windows(parse_table(text.encode(), "rows.csv"))
    scores = np.array(
        [dict(zip((f := predictor(w.values)).names, f.scores, strict=True)).get("failure", 0) for w in windows]
    )
    auroc = area(scores, truth[7000:])
    told("auroc", auroc)
    assert auroc > 0.85


def area(scores, truth) -> float:
    """Area under the ROC curve by ranks (Mann-Whitney)."""
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    n = truth.sum()
    return float((ranks[truth == 1].sum() - n * (n + 1) / 2) / (n * (len(truth) - n)))


BEARINGS = {"97": "normal", "105": "inner", "209": "inner", "118": "ball", "130": "outer"}


def test_faults_of_a_bearing(shared_data, bundle, tmp_path):
    """CWRU, windows of 1,024 samples: the first 60 % of five records to train, the rest to try, and a whole record at
    another load that was never seen. Same bearing in both halves, so this says little of other bearings.
    """
    folder, labels = shared_data / "cwru-bearing", ("normal", "inner", "ball", "outer")
    files = {path.name.partition("_")[0].partition("at")[0]: path for path in folder.glob("*.npy")}
    features, targets = [], []
    for number, label in BEARINGS.items():
        signal = np.load(files[number])[:36_000]
        for start in range(0, len(signal) - 1023, 512):
            features.append(trained.bands(signal[start : start + 1024]))
            targets.append(np.eye(4)[labels.index(label)])
    weights = trained.ridge(np.array(features), np.array(targets), 10.0)
    spec = SeriesInput(channels=(Channel(name="drive_end", unit="g"),), window_n=1024, layout="ct", rate_hz=12_000)
    predictor = bundle(
        trained.vibration(tmp_path / "m.onnx", weights), spec, SeriesClassHead(activation="softmax"), labels
    )

    def right(number, label, first):
        windows = [w for w in predictor.windows(table_of(files[number])) if w.start >= first]
        return [predictor(window.values).names[0] == label for window in windows]

    held_out = [ok for number, label in BEARINGS.items() for ok in right(number, label, 36_000)]
    other_load = right("107", "inner", 0)
    told("held_out", np.mean(held_out))
    told("other_load", np.mean(other_load))
    assert len(held_out) > 100
    assert np.mean(held_out) > 0.97
    assert np.mean(other_load) > 0.9


SENSORS = (2, 3, 4, 7, 8, 9, 11, 12, 13, 14, 15, 17, 20, 21)
"""Of C-MAPSS FD001, those that move."""


def test_remaining_life_of_an_engine(shared_data, bundle, tmp_path):
    """C-MAPSS FD001: engines 1 to 70 to train, 71 to 100 to try; up to 30 cycles a window; life counts from 125 down."""
    file = shared_data / "cmapss-turbofan" / "train_FD001.txt"
    data = np.loadtxt(file)
    columns = [4 + sensor for sensor in SENSORS]
    unit, cycle, x = data[:, 0], data[:, 1], data[:, columns]
    last = {u: cycle[unit == u].max() for u in np.unique(unit)}
    left = np.minimum(np.array([last[u] for u in unit]) - cycle, 125.0)
    mean, std = x[unit <= 70].mean(axis=0), x[unit <= 70].std(axis=0)
    scaled = (x - mean) / std
    features, targets = [], []
    for u in range(1, 71):
        rows, lives = scaled[unit == u], left[unit == u]
        for end in range(10, len(rows) + 1, 5):
            m = rows[max(0, end - 30) : end].mean(axis=0)
            features.append(np.concatenate([m, m * m]))
            targets.append(lives[end - 1])
    weights = trained.ridge(np.array(features), np.array(targets)[:, None], 5.0)
    channels = tuple(
        Channel(name=f"sensor_{s}", column=str(4 + s), mean=m, std=d)
        for s, m, d in zip(SENSORS, mean, std, strict=True)
    )
    spec = SeriesInput(channels=channels, window_n=30, min_n=10, stride_n=10, layout="tc", group="0")
    head = SeriesValueHead(values=(Value(name="life", unit="cycles", low=0.0, high=125.0),))
    predictor = bundle(trained.life(tmp_path / "m.onnx", weights), spec, head)
    text = "\n".join(line for line in file.read_text().splitlines() if int(line.split()[0]) > 70)
    errors, lengths = [], set()
    for window in predictor.windows(parse_table(text.encode(), "test.txt")):
        offset = int((unit <= 70).sum())
        errors.append(predictor(window.values).values["life"] - left[offset + window.end - 1])
        lengths.add(window.end - window.start)
    rmse, naive = float(np.sqrt(np.mean(np.square(errors)))), float(left[unit > 70].std())
    told("rmse_cycles", rmse)
    assert lengths >= {10, 20, 30}
    assert rmse < 24 < naive


def test_faults_of_a_chemical_plant(shared_data, bundle, tmp_path):
    """Tennessee Eastman: 20 of 52 directions learnt from d00, threshold from its second half; tried on other runs."""
    folder = shared_data / "tennessee-eastman"
    good = np.loadtxt(folder / "d00.dat").T
    assert good.shape == (500, 52)
    mean, std = good[:300].mean(axis=0), good[:300].std(axis=0)
    projection = trained.subspace((good[:300] - mean) / std, 20)
    channels = tuple(Channel(name=f"v{i}", column=str(i), mean=mean[i], std=std[i]) for i in range(52))
    spec = SeriesInput(channels=channels, window_n=5, stride_n=1, layout="tc")
    onnx = trained.autoencoder(tmp_path / "m.onnx", projection, (1, None, 52))

    def scores(predictor, table):
        return np.array([(w.end, predictor(w.values).anomaly.score) for w in predictor.windows(table)])

    open_ended = bundle(onnx, spec, SeriesReconstructionHead())
    text = "\n".join(" ".join(f"{v:.8g}" for v in row) for row in good[300:])
    threshold = float(np.quantile(scores(open_ended, parse_table(text.encode(), "good.dat"))[:, 1], 0.99))
    predictor = bundle(onnx, spec, SeriesReconstructionHead(threshold=threshold))
    alarms = {}
    for run in ("d00_te", "d01_te", "d06_te"):
        found = scores(predictor, table_of(folder / f"{run}.dat"))
        alarms[run] = (found[found[:, 0] > 165, 1] >= threshold).mean()
    for run, share in alarms.items():
        told(run, share)
    assert alarms["d01_te"] > 0.95 and alarms["d06_te"] > 0.95
    assert alarms["d00_te"] < 0.1


def test_an_int8_form_raises_the_same_alarms(shared_data, bundle, tmp_path):
    """Tennessee Eastman again: the projection in int8, held against the original on the runs it was not learnt from."""
    folder = shared_data / "tennessee-eastman"
    good = np.loadtxt(folder / "d00.dat").T
    mean, std = good[:300].mean(axis=0), good[:300].std(axis=0)
    channels = tuple(Channel(name=f"v{i}", column=str(i), mean=mean[i], std=std[i]) for i in range(52))
    spec = SeriesInput(channels=channels, window_n=5, stride_n=5, layout="tc")
    onnx = trained.autoencoder(tmp_path / "m.onnx", trained.subspace((good[:300] - mean) / std, 20), (1, None, 52))
    original = bundle(onnx, spec, SeriesReconstructionHead(threshold=1.2))
    windows = windows_in(original, folder, 80)
    work = Search(
        manifest.read(tmp_path / "b"), Material(windows.__getitem__, len(windows), "windows"), this_machine(), 0.95
    )
    ((recipe,), *_) = work.recipes("dynamic", "auto")
    one = work.run(recipe)
    assert one.compared is not None, one.error
    told("agreement", one.compared.lower or 0.0)
    assert one.agrees(0.95)
    assert len(windows) > 40


def test_a_machine_that_runs_hot(shared_data, bundle, tmp_path):
    """NAB: a day a window, one an hour; learnt from the first week, before anything is labelled. Four anomalies are
    labelled; the last one follows a breakdown. A linear model of one temperature is poor: we say how poor.
    """
    folder = shared_data / "nab-machine-temperature"
    table = table_of(folder / "machine_temperature_system_failure.csv")
    values = table.get("value")[: 7 * 288]
    mean, std = float(values.mean()), float(values.std())
    days = np.stack([(values[i : i + 288] - mean) / std for i in range(0, len(values) - 287, 12)])
    spec = SeriesInput(
        channels=(Channel(name="value", mean=mean, std=std),),
        window_n=288, stride_n=12, layout="flat_tc", rate_hz=1 / 300, time="timestamp", gaps="linear", max_gap_n=12,
    )  # fmt: skip
    onnx = trained.autoencoder(tmp_path / "m.onnx", trained.subspace(days, 6), (None, 288))
    # Some stamps are doubled where the clock was set back; samples must have each its own time.
    stamps = np.array(table.get("timestamp").astype(str), "datetime64[s]")
    first = np.concatenate([[True], np.diff(np.maximum.accumulate(stamps.astype(np.int64))) > 0])
    lines = [f"{s},{v}" for s, v in zip(stamps[first], table.get("value")[first], strict=True)]
    tidy = parse_table(("timestamp,value\n" + "\n".join(lines)).encode(), "tidy.csv")
    predictor = bundle(onnx, spec, SeriesReconstructionHead(threshold=1.0))
    labels = json.loads((folder / "machine_temperature_system_failure.labels.json").read_text())["windows"]
    spans = [[np.datetime64(edge[:19]).astype(np.int64) for edge in span] for span in labels]
    by_span, outside = defaultdict(list), []
    for window in predictor.windows(tidy, "tidy.csv"):
        if np.isnan(window.values).any():
            continue
        score = predictor(window.values).anomaly.score
        inside = [i for i, (a, b) in enumerate(spans) if a <= window.to_s and window.from_s <= b]
        (by_span[inside[0]] if inside else outside).append(score)
    outside = np.sort(outside)
    limit = float(np.quantile(outside, 0.95))
    caught = sum(max(found) >= limit for found in by_span.values())
    told("caught_of_4_at_5_percent", caught)
    assert len(by_span) == 4
    assert caught >= 2
