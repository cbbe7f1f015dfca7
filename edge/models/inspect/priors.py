"""How models of a kind are usually fed: what the field does, with where it says so.

A file hardly ever tells the order of colours or the scale of pixels. These are the habits of the code the models come
from; a probe picture may overrule them (:mod:`edge.models.inspect.probing`), and what the graph does itself comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_IMAGENET: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
"""Per channel of RGB in 0..1: torchvision's documentation of its weights; every library of classifiers took them over."""
_IMAGENET_BGR_255: dict[str, Any] = {"scale": 1.0, "mean": (103.53, 116.28, 123.675), "std": (57.375, 57.12, 58.395)}
"""The same times 255, turned: OpenMMLab, NanoDet."""
_PM1: dict[str, Any] = {"mean": (0.5,), "std": (0.5,)}


@dataclass(frozen=True, slots=True)
class Prior:
    """``fields`` of InputSpec besides size; ``confidence`` that a model of this kind is fed so; where that stands."""

    fields: dict[str, Any]
    confidence: float
    source: str
    unsure: str = ""


PRIORS: dict[str, Prior] = {
    "ultralytics": Prior({"color": "rgb"}, 0.97, "Ultralytics: LetterBox in ultralytics/data/augment.py, /255"),
    "ultralytics-rtdetr": Prior(
        {"color": "rgb", "fit": "stretch"}, 0.95, "Ultralytics: RTDETRPredictor.pre_transform scales to fill"
    ),
    "ultralytics-classify": Prior(
        {"color": "rgb", "fit": "crop"}, 0.95, "Ultralytics: classify_transforms in ultralytics/data/augment.py"
    ),
    "yolo": Prior(
        {"color": "rgb"}, 0.8, "YOLOv5 to v12: letterbox with 114 in utils/augmentations.py, RGB, /255",
        "RGB in 0..1 with a letterbox is the habit of YOLO; the file does not say it",
    ),
    "yolox": Prior(
        {"color": "bgr", "scale": 1.0, "anchor": "top_left"}, 0.85,
        "YOLOX from 0.1.1 on: preproc in yolox/data/data_augment.py, BGR 0..255, padding right and below",
        "YOLOX before 0.1.1 took RGB in 0..1 with ImageNet's mean and std",
    ),
    "yolo-nas": Prior(
        {"color": "rgb"}, 0.6, "super-gradients: default processing of YOLO-NAS pads right and below, /255",
        "whether colours are RGB or BGR is not in the file",
    ),
    "nanodet": Prior(
        {"color": "bgr", "fit": "stretch", **_IMAGENET_BGR_255}, 0.85, "NanoDet: normalize in config/*.yml, BGR",
    ),
    "picodet": Prior(
        {"color": "rgb", "fit": "stretch", **_IMAGENET}, 0.85,
        "PaddleDetection: Resize keep_ratio false, NormalizeImage in configs/picodet",
    ),
    "paddle-detection": Prior(
        {"color": "rgb", "fit": "stretch", **_IMAGENET}, 0.6, "PaddleDetection: NormalizeImage in configs/*/_base_",
        "PP-YOLOE+ has mean 0 and std 1, other Paddle detectors ImageNet's: see infer_cfg.yml of the export",
    ),
    "rtmdet": Prior(
        {"color": "bgr", "anchor": "top_left", **_IMAGENET_BGR_255}, 0.75, "MMDetection: configs/rtmdet, DetDataPreprocessor",
    ),
    "mmdetection": Prior(
        {"color": "rgb", "anchor": "top_left", "pad_value": 0, **_IMAGENET}, 0.5, "MMDetection: DetDataPreprocessor",
        "colours and scale of this export are its project's own: look into its configuration",
    ),
    "fastestdet": Prior({"color": "bgr", "fit": "stretch"}, 0.9, "FastestDet: test.py, BGR as OpenCV reads it, /255"),
    "yunet": Prior(
        {"color": "bgr", "scale": 1.0, "anchor": "top_left", "pad_value": 0}, 0.95,
        "OpenCV: FaceDetectorYN in modules/objdetect/src/face_detect.cpp, BGR 0..255, padding right and below",
    ),
    "scrfd": Prior(
        {"color": "rgb", "anchor": "top_left", "pad_value": 0, "scale": 1.0, "mean": (127.5,), "std": (128.0,)}, 0.95,
        "insightface: SCRFD.forward in python-package/insightface/model_zoo/scrfd.py",
    ),
    "retinaface": Prior(
        {"color": "bgr", "scale": 1.0, "mean": (104.0, 117.0, 123.0), "anchor": "top_left", "pad_value": 0}, 0.85,
        "Pytorch_Retinaface: detect.py",
    ),
    "ssd": Prior(
        {"color": "rgb", "fit": "stretch", "scale": 1.0, "mean": (127.0,), "std": (128.0,)}, 0.85,
        "UltraFace and pytorch-ssd: (x - 127) / 128, vision/ssd/config",
    ),
    "ssd-zoo": Prior(
        {"color": "rgb", "fit": "stretch", **_IMAGENET}, 0.8, "ONNX model zoo: SSD (ResNet-34), its README",
    ),
    "tf-detection": Prior(
        {"color": "rgb", "fit": "stretch", "scale": 1.0}, 0.85,
        "TensorFlow object detection API: image_tensor takes RGB bytes and resizes itself",
    ),
    "torchvision-detection": Prior(
        {"color": "rgb", "anchor": "top_left"}, 0.85, "torchvision: GeneralizedRCNNTransform normalises inside, RGB 0..1",
    ),
    "detr": Prior(
        {"color": "rgb", "fit": "stretch", **_IMAGENET}, 0.85, "DETR: datasets/coco.py, make_coco_transforms",
    ),
    "rtdetr": Prior(
        {"color": "rgb", "fit": "stretch"}, 0.8, "RT-DETR, D-FINE: Resize and ToTensor only, 0..1",
        "RF-DETR and Deformable DETR want ImageNet's mean and std besides",
    ),
    "torch-classify": Prior(
        {"color": "rgb", "fit": "crop", **_IMAGENET}, 0.8, "torchvision, timm: ImageNet's mean and std, centre crop",
        "some of timm's (ViT, EfficientNet of TensorFlow's weights) want mean and std 0.5 instead of ImageNet's",
    ),
    "tiny": Prior(
        {"color": "rgb", "fit": "stretch"}, 0.5, "no habit is known for small colour inputs; 0..1 is commonest",
        "pixels 0..1 or normalised (CIFAR: mean 0.49, 0.48, 0.45) is not in the file",
    ),
    "mnist": Prior(
        {"color": "gray", "fit": "stretch", "scale": 1.0}, 0.75, "CNTK's MNIST of the ONNX model zoo: 0..255, white on black",
        "PyTorch's MNIST examples want (x / 255 - 0.1307) / 0.3081",
    ),
    "keras-mnist": Prior(
        {"color": "gray", "fit": "stretch"}, 0.65, "Keras' examples (mnist_convnet.py): white on black, x / 255",
    ),
    "torch-mnist": Prior(
        {"color": "gray", "fit": "stretch", "mean": (0.1307,), "std": (0.3081,)}, 0.5, "PyTorch's MNIST example, examples/mnist/main.py",
        "many take plain 0..1, which a network of digits hardly tells apart",
    ),
    "keras-classify": Prior(
        {"color": "rgb", "fit": "stretch", "scale": 1.0, "mean": (127.5,), "std": (127.5,)}, 0.55,
        "Keras applications: preprocess_input of MobileNet, Inception, Xception, ResNet v2 ('tf' mode)",
        "Keras' ResNet and VGG want BGR minus (103.9, 116.8, 123.7), its EfficientNet and MobileNetV3 0..255 as it is",
    ),
    "paddle-classify": Prior(
        {"color": "rgb", "fit": "crop", **_IMAGENET}, 0.8, "PaddleClas: NormalizeImage in configs/ImageNet",
    ),
    "caffe-classify": Prior(
        {"color": "bgr", "fit": "crop", "scale": 1.0, "mean": (104.0, 117.0, 123.0)}, 0.65,
        "Caffe: reference models subtract the mean of ImageNet, BGR 0..255",
    ),
    "tf-segment": Prior(
        {"color": "rgb", "fit": "stretch", **_PM1}, 0.85, "TensorFlow DeepLab: feature_extractor.preprocess, x / 127.5 - 1",
    ),
    "torch-segment": Prior(
        {"color": "rgb", "fit": "stretch", **_IMAGENET}, 0.7, "torchvision, MMSegmentation, SegFormer, U2-Net: ImageNet's",
        "a U-Net trained by a project of its own often takes plain 0..1",
    ),
    "paddle-segment": Prior({"color": "rgb", "fit": "stretch", **_PM1}, 0.8, "PaddleSeg: Normalize, mean and std 0.5"),
    "matting": Prior({"color": "rgb", "fit": "stretch", **_PM1}, 0.8, "MODNet: onnx/inference_onnx.py, mean and std 0.5"),
    "autoencoder": Prior(
        {"color": "rgb", "fit": "stretch"}, 0.6, "an output that ends in a sigmoid was trained on 0..1",
        "whether it was trained on colour or on grey in three channels is not in the file: grey pictures are fed as such",
    ),
    "anomalib": Prior(
        {"color": "rgb", "fit": "stretch", **_IMAGENET}, 0.7, "anomalib: PreProcessor, Resize and Normalize (ImageNet)",
        "anomalib from version 2 exports its preprocessing with the model, then plain 0..1 is right",
    ),
    "midas": Prior({"color": "rgb", "fit": "stretch", **_IMAGENET}, 0.7, "MiDaS: transforms.py, NormalizeImage"),
    "paddle-ocr": Prior(
        {"color": "bgr", "fit": "stretch", **_PM1}, 0.95, "PaddleOCR: NormalizeImage in tools/infer, BGR as OpenCV reads it",
    ),
    "torch-text-lines": Prior(
        {"color": "rgb", **_IMAGENET}, 0.5, "chineseocr_lite and most DB of PyTorch: ImageNet's mean and std",
        "colours and scale of DB exports differ: PaddleOCR's own and RapidOCR's want BGR, mean and std 0.5",
    ),
    "line": Prior(
        {"color": "gray", "fit": "stretch", **_PM1}, 0.5, "CRNN: dataset.py, resizeNormalize, grey, mean and std 0.5",
        "colour, scale and padding of a line are its project's own",
    ),
    "mediapipe": Prior(
        {"color": "rgb", "pad_value": 0, **_PM1}, 0.8, "MediaPipe: ImageToTensorCalculator in its graphs, keep_aspect_ratio, -1..1",
    ),
    "movenet": Prior(
        {"color": "rgb", "pad_value": 0, "scale": 1.0}, 0.85, "MoveNet's model card: RGB 0..255, the picture padded to a square",
    ),
    "mmpose": Prior(
        {"color": "rgb", **_IMAGENET}, 0.75, "MMPose, HRNet, ViTPose: ImageNet's mean and std, the person's box widened to the input",
    ),
    "landmarks-plain": Prior(
        {"color": "rgb", "fit": "stretch"}, 0.5, "PFLD and MediaPipe's landmarks: 0..1",
        "whether colours are RGB or BGR is not in the file",
    ),
    "landmarks-insightface": Prior(
        {"color": "rgb", "fit": "stretch", "scale": 1.0, "mean": (127.5,), "std": (128.0,)}, 0.6,
        "insightface: Landmark in python-package/insightface/model_zoo/landmark.py (exports with mean inside take 0..255)",
    ),
    "embedding": Prior({"color": "rgb", "fit": "stretch"}, 0.2, "no habit is known for embeddings"),
    "nhwc-segment": Prior(
        {"color": "rgb", "fit": "stretch"}, 0.45, "Keras' examples and most U-Nets made with it: x / 255",
        "others with channels last want -1..1 (DeepLab) or BGR 0..255 (OpenVINO's zoo): try --probe with a picture",
    ),
    "transformers-vit": Prior(
        {"color": "rgb", "fit": "stretch", **_PM1}, 0.6, "transformers: ViTImageProcessor, mean and std 0.5",
        "some (DeiT, DINO) want ImageNet's mean and std: see preprocessor_config.json beside the model",
    ),
    "inside": Prior({"color": "rgb", "fit": "stretch"}, 0.7, "the graph begins with arithmetic on pixels"),
    "unknown": Prior(
        {"color": "rgb", "fit": "stretch"}, 0.2, "no habit is known",
        "how pictures go in cannot be told: ask where the model is from",
    ),
}  # fmt: skip
