"""One small pure function a convention: facts in, a guess or None out; asked in order, the first that fits wins."""

from __future__ import annotations

from edge.models.inspect.rules.base import Guess, Rule
from edge.models.inspect.rules.faces import mediapipe, retinaface, scrfd, yunet, yunet_of_priors
from edge.models.inspect.rules.grids import anchored, distances, yolo_fastest
from edge.models.inspect.rules.maps import anomalib, depth, label_map, raw, reconstruction, segmentation
from edge.models.inspect.rules.posture import embedding, heatmaps, landmarks, movenet, simcc
from edge.models.inspect.rules.reading import characters, text_lines, way_up
from edge.models.inspect.rules.sets import (
    listed,
    pairs,
    queries,
    tf_detection,
    yolov3,
)
from edge.models.inspect.rules.tables import fastestdet, tables
from edge.models.inspect.rules.ultralytics import ultralytics
from edge.models.inspect.rules.whole import classify, score

RULES: tuple[Rule, ...] = (
    # What the file says itself, then names and counts that fit one convention only, then shapes, then the rest.
    ultralytics,
    characters,
    way_up,
    text_lines,
    anomalib,
    tf_detection,
    yunet,
    scrfd,
    retinaface,
    yunet_of_priors,
    mediapipe,
    simcc,
    movenet,
    yolov3,
    listed,
    queries,
    yolo_fastest,
    pairs,
    distances,
    anchored,
    tables,
    fastestdet,
    label_map,
    reconstruction,
    depth,
    heatmaps,
    segmentation,
    score,
    landmarks,
    embedding,
    classify,
    raw,
)

__all__ = ["RULES", "Guess", "Rule"]
